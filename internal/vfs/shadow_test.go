package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// shadowed is a Shadow over a folder, and what a library does in it.
type shadowed struct {
	*Shadow
	t   *testing.T
	dir string
}

func newShadowed(t *testing.T) shadowed {
	dir := t.TempDir()
	s := NewShadow(dir)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return shadowed{s, t, dir}
}

// write appends to a file with package os, as a library does.
func (s shadowed) write(name, data string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o777))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	require.NoError(s.t, err)
	_, err = f.WriteString(data)
	require.NoError(s.t, errors.Join(err, f.Close()))
}

func (s shadowed) sync(name string) {
	s.t.Helper()
	require.NoError(s.t, s.SyncPath(filepath.Join(s.dir, name)))
}

// after returns the files left, as "name=content".
func (s shadowed) after(loss ShadowLoss) string {
	s.t.Helper()
	dst := filepath.Join(s.t.TempDir(), "copy")
	require.NoError(s.t, s.LosePower(dst, loss))
	var out []string
	for _, f := range strings.Fields(tree(s.t, OS{}, dst)) {
		out = append(out, strings.TrimPrefix(f, dst+"/"))
	}
	return strings.Join(out, " ")
}

func TestShadowKeepsWhatWasSynced(t *testing.T) {
	s := newShadowed(t)
	s.write("wal/1", "synced")
	s.sync("wal/1")
	s.write("wal/1", "-lost")
	s.write("wal/2", "never")
	require.Equal(t, "wal/ wal/1=synced", s.after(ShadowLoss{}))
	s.sync("wal/1")
	require.Equal(t, "wal/ wal/1=synced-lost", s.after(ShadowLoss{}))
	require.Equal(t, "wal/ wal/1=synced-lost wal/2=never", s.after(ShadowLoss{Keep: []string{"wal/2"}}))
	require.ErrorIs(t, s.SyncPath(filepath.Join(s.dir, "no")), fs.ErrNotExist)
}

func TestShadowKnowsFilesByWhatTheyAre(t *testing.T) {
	s := newShadowed(t)
	s.write("a", "content")
	s.sync("a")
	require.NoError(t, os.Rename(filepath.Join(s.dir, "a"), filepath.Join(s.dir, "b")))
	require.Equal(t, "b=content", s.after(ShadowLoss{}), "renamed by the library")

	s.write("a", "another")
	require.Equal(t, "b=content", s.after(ShadowLoss{}), "a new file of the old name")
	for range 20 { // the system likes to give an inode again
		require.NoError(t, os.Remove(filepath.Join(s.dir, "b")))
		s.write("b", "new")
		require.Empty(t, s.after(ShadowLoss{}), "a new file in the place of a removed one")
	}

	s.write("c", "0123456789")
	s.sync("c")
	require.NoError(t, os.Truncate(filepath.Join(s.dir, "c"), 4))
	require.Equal(t, "c=0123", s.after(ShadowLoss{}), "cut shorter")
	require.Equal(t, "c=0123", s.after(ShadowLoss{Rand: rand.New(rand.NewPCG(4, 4))}))
}

func TestShadowStrictNames(t *testing.T) {
	s := newShadowed(t)
	strict := ShadowLoss{StrictNames: true}
	s.write("a", "A")
	s.sync("a")
	require.Empty(t, s.after(strict))
	s.sync("")
	s.write("b", "B")
	s.sync("b")
	require.Equal(t, "a=A", s.after(strict))
	require.NoError(t, s.Sync(filepath.Join(s.dir, "b")))
	require.Equal(t, "a=A b=B", s.after(strict), "Sync syncs the folder too")
}

func TestShadowRandom(t *testing.T) {
	s := newShadowed(t)
	s.write("a", "sync")
	s.sync("a")
	s.write("a", "more")
	s.write("b", "bbbb")
	seen := map[string]bool{}
	for seed := range uint64(100) {
		got := s.after(ShadowLoss{Rand: rand.New(rand.NewPCG(3, seed))})
		seen[got] = true
		for _, f := range strings.Fields(got) {
			name, content, _ := strings.Cut(f, "=")
			if name == "a" {
				require.True(t, len(content) >= 4 && strings.HasPrefix("syncmore", content), got)
			} else {
				require.True(t, strings.HasPrefix("bbbb", content), got)
			}
		}
		require.Contains(t, got, "a=sync")
	}
	require.Greater(t, len(seen), 10)
}

func TestShadowAsAFileSystem(t *testing.T) {
	s := newShadowed(t)
	name := filepath.Join(s.dir, "f")
	require.NoError(t, WriteFileAtomic(s, name, []byte("one")))
	require.Equal(t, "f=one", s.after(ShadowLoss{StrictNames: true}))
	f, err := s.OpenAppend(name)
	require.NoError(t, err)
	_, err = f.Write([]byte("-two"))
	require.NoError(t, err)
	require.Equal(t, "f=one", s.after(ShadowLoss{}))
	require.NoError(t, f.Sync())
	require.Equal(t, "f=one-two", s.after(ShadowLoss{}))
	require.NoError(t, f.Close())
}

// Every length that a sync has returned for is there after power loss, however
// writes, syncs and the loss fall together.
func TestShadowWhileTheLibraryWrites(t *testing.T) {
	s := newShadowed(t)
	s.write("wal", "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := 0
	errs := make(chan error, 2)
	wg.Go(func() {
		f, err := os.OpenFile(filepath.Join(s.dir, "wal"), os.O_APPEND|os.O_WRONLY, 0)
		for i := 0; err == nil && i < 200; i++ {
			if _, err = f.WriteString("x"); err != nil {
				break
			}
			if err = s.SyncPath(filepath.Join(s.dir, "wal")); err == nil {
				mu.Lock()
				acked = i + 1
				mu.Unlock()
			}
		}
		errs <- errors.Join(err, f.Close())
	})
	for range 20 {
		mu.Lock()
		want := acked
		mu.Unlock()
		got := strings.TrimPrefix(s.after(ShadowLoss{}), "wal=")
		require.GreaterOrEqual(t, len(got), want)
	}
	wg.Wait()
	require.NoError(t, <-errs)
}

func TestMatchPath(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true},
		{"a", "a/b", false},
		{"*", "a", true},
		{"*", "a/b", false},
		{"*/b", "a/b", true},
		{"**", "a/b/c", true},
		{"**/c", "a/b/c", true},
		{"**/c", "c", true},
		{"a/**/c", "a/c", true},
		{"a/**", "a", true},
		{"a/**", "b/a", false},
		{"01*/**", "01ABC/chunks/000001", true},
		{"[", "[", false},
		{"", "a", false},
	} {
		require.Equal(t, c.want, matchPath(c.pattern, c.name), fmt.Sprint(c))
	}
}
