package vfs

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// steps carries out file operations on a Mem, one a word, so that a table reads
// like a history: "create a", "write a xyz", "sync a", "dir /", "mv a b".
type steps struct {
	t     *testing.T
	m     *Mem
	files map[string]File
}

func newSteps(t *testing.T) *steps { return &steps{t: t, m: NewMem(), files: map[string]File{}} }

func (s *steps) run(script string) {
	s.t.Helper()
	for line := range strings.SplitSeq(script, ";") {
		w := strings.Fields(line)
		var err error
		switch w[0] {
		case "create":
			s.files[w[1]], err = s.m.Create(w[1])
		case "append":
			s.files[w[1]], err = s.m.OpenAppend(w[1])
		case "write":
			_, err = s.files[w[1]].Write([]byte(w[2]))
		case "start":
			_, err = s.files[w[1]].Seek(0, io.SeekStart)
		case "cut":
			var n int64
			_, err = fmt.Sscan(w[2], &n)
			require.NoError(s.t, err)
			err = s.files[w[1]].Truncate(n)
		case "sync":
			err = s.files[w[1]].Sync()
		case "dir":
			err = SyncDir(s.m, w[1])
		case "mkdir":
			err = s.m.MkdirAll(w[1])
		case "mv":
			err = s.m.Rename(w[1], w[2])
		case "ln":
			err = s.m.Link(w[1], w[2])
		case "rm":
			err = s.m.Remove(w[1])
		case "rmall":
			err = s.m.RemoveAll(w[1])
		default:
			s.t.Fatalf("unknown step %q", line)
		}
		require.NoError(s.t, err, line)
	}
}

// tree lists a disk as "name=content" and "name/" in order.
func tree(t testing.TB, fsys FS, dir string) string {
	t.Helper()
	var out []string
	names, err := fsys.List(dir)
	require.NoError(t, err)
	for _, n := range names {
		p := path.Join(dir, n)
		st, err := fsys.Stat(p)
		require.NoError(t, err)
		if st.IsDir() {
			out = append(out, p+"/")
			if sub := tree(t, fsys, p); sub != "" {
				out = append(out, sub)
			}
			continue
		}
		data, err := ReadFile(fsys, p)
		require.NoError(t, err)
		out = append(out, p+"="+string(data))
	}
	return strings.Join(out, " ")
}

func TestLosePower(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"nothing synced", "create a; write a x", ""},
		{"content without a name", "create a; write a x; sync a", ""},
		{"a name without content", "create a; write a x; dir /", "a="},
		{"both", "create a; write a x; sync a; dir /", "a=x"},
		{"the name first", "create a; dir /; write a x; sync a", "a=x"},
		{"only what was there at the sync", "create a; dir /; write a x; sync a; write a y", "a=x"},
		{"appends in turns", "create a; dir /; write a x; sync a; write a y; sync a; write a z", "a=xy"},
		{"an overwrite unsynced", "create a; dir /; write a old; sync a; start a; write a n", "a=old"},
		{"an overwrite synced", "create a; dir /; write a old; sync a; start a; write a n; sync a", "a=nld"},
		{"cut unsynced", "create a; dir /; write a old; sync a; cut a 1", "a=old"},
		{"cut synced", "create a; dir /; write a old; sync a; cut a 1; sync a", "a=o"},
		{"cut, then grown", "create a; dir /; write a old; sync a; cut a 1; append a; write a NEW", "a=old"},
		{"emptied by create", "create a; dir /; write a old; sync a; create a; write a n", "a=old"},
		{"rename unsynced", "create a; sync a; dir /; mv a b", "a="},
		{"rename synced", "create a; sync a; dir /; mv a b; dir /", "b="},
		{
			"replace unsynced", "create a; write a old; sync a; dir /; create b; write b new; sync b; mv b a",
			"a=old",
		},
		{
			"replace without content", "create a; write a old; sync a; dir /; create b; write b new; mv b a; dir /",
			"a=",
		},
		{"removed unsynced", "create a; write a x; sync a; dir /; rm a", "a=x"},
		{"removed synced", "create a; write a x; sync a; dir /; rm a; dir /", ""},
		{"a second name", "create a; write a x; sync a; dir /; ln a b; rm a; dir /", "b=x"},
		{"a new folder", "mkdir d; create d/a; sync d/a; dir d", ""},
		{"a new folder synced", "mkdir d; create d/a; sync d/a; dir d; dir /", "d/ d/a="},
		{"a deep folder", "mkdir d/e; create d/e/a; sync d/e/a; dir d/e; dir /", "d/"},
		{"a tree removed", "mkdir d; create d/a; sync d/a; dir d; dir /; rmall d", "d/ d/a="},
		{
			"moved, new folder synced", "mkdir d; create a; write a x; sync a; dir /; mv a d/a; dir d",
			"d/ d/a=x",
		},
		{"moved, both synced", "mkdir d; create a; sync a; dir /; mv a d/a; dir d; dir /", "d/ d/a="},
		{"moved, the old folder first", "mkdir d; create a; sync a; dir /; mv a d/a; dir /", "d/"},
		{"moved, none synced", "mkdir d; create a; sync a; dir /; mv a d/a", "a= d/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSteps(t)
			s.run(c.script)
			before := tree(t, s.m, "")
			after := s.m.LosePower(PowerLoss{})
			require.Equal(t, c.want, tree(t, after, ""))
			require.Equal(t, before, tree(t, s.m, ""), "the disk before is as it was")
			require.Equal(t, c.want, tree(t, after.LosePower(PowerLoss{}), ""), "what is left is durable")
			var bytes int64
			for _, f := range strings.Fields(c.want) {
				if _, content, ok := strings.Cut(f, "="); ok {
					bytes += int64(len(content))
				}
			}
			require.Equal(t, bytes, after.Used())
		})
	}
}

func TestSyncPathIsSync(t *testing.T) {
	s := newSteps(t)
	s.run("create a; write a x")
	require.NoError(t, s.m.SyncPath("a"))
	require.NoError(t, s.m.SyncPath("/"))
	s.run("write a y")
	require.Equal(t, "a=x", tree(t, s.m.LosePower(PowerLoss{}), ""))
}

func TestFilesFromBeforeDoNotReachTheDiskAfter(t *testing.T) {
	s := newSteps(t)
	s.run("create a; write a x; sync a; dir /")
	_, err := s.m.Lock("lock")
	require.NoError(t, err)
	after := s.m.LosePower(PowerLoss{})
	s.run("write a y; sync a; create b; dir /")
	require.Equal(t, "a=x", tree(t, after, ""))
	l, err := after.Lock("lock")
	require.NoError(t, err, "nobody holds a lock")
	require.NoError(t, l.Close())
}

func TestThePowerMayGoTwice(t *testing.T) {
	s := newSteps(t)
	s.run("create a; dir /; write a old; sync a; write a lost")
	s.m = s.m.LosePower(PowerLoss{})
	s.run("append a; write a lost")
	f, err := s.m.OpenAppend("a")
	require.NoError(t, err)
	require.NoError(t, f.Truncate(0))
	_, err = f.Write([]byte("NEW"))
	require.NoError(t, err)
	require.Equal(t, "a=old", tree(t, s.m.LosePower(PowerLoss{}), ""), "the first disk's bytes are not overwritten in place")
	require.NoError(t, f.Sync())
	require.Equal(t, "a=NEW", tree(t, s.m.LosePower(PowerLoss{}), ""))
}

func TestLosePowerRandom(t *testing.T) {
	history := "create a; write a AAAA; sync a; create b; dir /; write a aaaa; write b bbbb; create c; mv b d; mkdir e; mv a e/a"
	seen := map[string]int{}
	for seed := range uint64(400) {
		disk := func() string {
			s := newSteps(t)
			s.run(history)
			return tree(t, s.m.LosePower(PowerLoss{Rand: rand.New(rand.NewPCG(1, seed))}), "")
		}
		got := disk()
		require.Equal(t, got, disk(), "the same seed gives the same disk")
		seen[got]++
		for _, f := range strings.Fields(got) {
			name, content, _ := strings.Cut(f, "=")
			switch name {
			case "a", "e/a":
				require.True(t, strings.HasPrefix("AAAAaaaa", content) && len(content) >= 4, got)
			case "b", "d":
				require.True(t, strings.HasPrefix("bbbb", content), got)
			}
		}
		n := strings.Count(got, "a=")
		moved := strings.Contains(got, "e/a=")
		require.False(t, n > 1, "a move is whole or not at all: %s", got)
		if !moved && strings.Contains(got, "e/") {
			require.Contains(t, got, "a=", "the file is somewhere while its folder is: %s", got)
		}
	}
	require.Greater(t, len(seen), 50, "many different disks")
	for _, want := range []string{"a=AAAA", "e/a=AAAAaaaa", "d=bbbb", "b=", "c="} {
		found := false
		for got := range seen {
			found = found || strings.Contains(got, want)
		}
		require.True(t, found, "%s is never left", want)
	}
}

func TestLosePowerGarbage(t *testing.T) {
	zeros, noise := false, false
	for seed := range uint64(200) {
		s := newSteps(t)
		s.run("create a; dir /; write a ssssssss; sync a; write a uuuuuuuuuuuuuuuu")
		got, err := ReadFile(s.m.LosePower(PowerLoss{Rand: rand.New(rand.NewPCG(2, seed)), Garbage: true}), "a")
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(got, []byte("ssssssss")), "what was synced is never touched: %q", got)
		tail := bytes.TrimLeft(got[8:], "u")
		zeros = zeros || len(tail) > 4 && len(bytes.Trim(tail, "\x00")) == 0
		noise = noise || len(tail) > 4 && bytes.IndexByte(tail, 0) < 0
	}
	require.True(t, zeros)
	require.True(t, noise)
}

func TestMemIsFullAtItsSize(t *testing.T) {
	s := newSteps(t)
	s.m.SetSize(10)
	free := func() uint64 {
		n, err := s.m.DiskFree("/")
		require.NoError(t, err)
		return n
	}
	s.run("create a; write a 123456; create b")
	require.EqualValues(t, 4, free())
	n, err := s.files["b"].Write([]byte("12345"))
	require.ErrorIs(t, err, ErrNoSpace)
	require.Equal(t, 4, n, "what fits is written")
	n, err = s.files["b"].Write([]byte("5"))
	require.ErrorIs(t, err, ErrNoSpace)
	require.Zero(t, n)
	require.Zero(t, free())
	require.ErrorIs(t, s.files["b"].Truncate(100), ErrNoSpace)
	s.run("start a; write a xyz") // an overwrite needs no space
	require.Equal(t, "a=xyz456 b=1234", tree(t, s.m, ""))

	s.run("rm a")
	require.Zero(t, free(), "an open file keeps its space")
	require.NoError(t, s.files["a"].Close())
	require.EqualValues(t, 6, free())
	s.run("cut b 1; ln b c; rm b; mkdir d")
	require.EqualValues(t, 9, free(), "a second name keeps it too")
	require.NoError(t, s.files["b"].Close())
	require.EqualValues(t, 9, free())
	s.run("create d/x; write d/x 12; mv d/x c")
	require.NoError(t, s.files["d/x"].Close())
	require.EqualValues(t, 8, free(), "a replaced file is gone")
	s.run("create c")
	require.EqualValues(t, 10, free(), "an emptied one too")

	s.m.SetSize(1)
	s.run("create e; write e 1")
	s.m.SetSize(0)
	require.Zero(t, free())
	_, err = s.files["e"].Write([]byte("2"))
	require.ErrorIs(t, err, ErrNoSpace)
}
