package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// implementations are what the suite runs over; each returns a fresh FS and an
// empty folder on it.
func implementations() map[string]func(t *testing.T) (FS, string) {
	return map[string]func(t *testing.T) (FS, string){
		"OS":  func(t *testing.T) (FS, string) { return OS{}, t.TempDir() },
		"Mem": func(t *testing.T) (FS, string) { return newMemWith(t, "/data/x"), "/data/x" },
		"Mem relative": func(t *testing.T) (FS, string) {
			return newMemWith(t, "data"), "data"
		},
		"Mem after power loss": func(t *testing.T) (FS, string) {
			return newMemWith(t, "/data").LosePower(PowerLoss{}), "/data"
		},
		"Faulty over Mem": func(t *testing.T) (FS, string) { return NewFaulty(newMemWith(t, "/d"), nil), "/d" },
		"Faulty over OS":  func(t *testing.T) (FS, string) { return NewFaulty(OS{}, nil), t.TempDir() },
		"Shadow": func(t *testing.T) (FS, string) {
			dir := t.TempDir()
			s := NewShadow(dir)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s, dir
		},
	}
}

func newMemWith(t *testing.T, dir string) *Mem {
	m := NewMem()
	require.NoError(t, MkdirAllSync(m, dir))
	return m
}

func TestConformance(t *testing.T) {
	for name, mk := range implementations() {
		t.Run(name, func(t *testing.T) {
			for _, c := range conformance {
				t.Run(c.name, func(t *testing.T) {
					fsys, dir := mk(t)
					c.run(t, suite{fsys, dir})
				})
			}
		})
	}
}

// suite is an FS under test and the folder to work in.
type suite struct {
	FS
	dir string
}

func (s suite) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s suite) put(t *testing.T, name, content string) {
	t.Helper()
	f, err := s.Create(s.path(name))
	require.NoError(t, err)
	n, err := f.Write([]byte(content))
	require.NoError(t, err)
	require.Equal(t, len(content), n)
	require.NoError(t, f.Close())
}

func (s suite) get(t *testing.T, name string) string {
	t.Helper()
	data, err := ReadFile(s.FS, s.path(name))
	require.NoError(t, err)
	return string(data)
}

func (s suite) missing(t *testing.T, name string) {
	t.Helper()
	_, err := s.Stat(s.path(name))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

var conformance = []struct {
	name string
	run  func(t *testing.T, s suite)
}{
	{"create, read, write", conformCreate},
	{"append", conformAppend},
	{"seek and truncate", conformSeek},
	{"missing files", conformMissing},
	{"wrong kind of handle", conformHandles},
	{"rename", conformRename},
	{"link", conformLink},
	{"remove", conformRemove},
	{"an open file outlives its name", conformUnlinked},
	{"folders", conformFolders},
	{"sync", conformSync},
	{"lock", conformLock},
	{"disk free", conformDiskFree},
	{"helpers", conformHelpers},
	{"many goroutines", conformConcurrent},
}

func conformCreate(t *testing.T, s suite) {
	f, err := s.Create(s.path("a"))
	require.NoError(t, err)
	require.Equal(t, s.path("a"), f.Name())
	_, err = f.Write([]byte("hello "))
	require.NoError(t, err)
	n, err := f.Write(nil)
	require.NoError(t, err)
	require.Zero(t, n)
	_, err = f.Write([]byte("world"))
	require.NoError(t, err)
	st, err := f.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 11, st.Size())
	require.False(t, st.IsDir())
	require.Equal(t, "a", st.Name())

	// A handle made by Create reads too; the position is at the end.
	buf := make([]byte, 5)
	_, err = f.Read(buf)
	require.ErrorIs(t, err, io.EOF)
	n, err = f.ReadAt(buf, 6)
	require.NoError(t, err)
	require.Equal(t, "world", string(buf[:n]))
	n, err = f.ReadAt(buf, 9)
	require.Equal(t, io.EOF, err, "a short ReadAt says so")
	require.Equal(t, "ld", string(buf[:n]))
	_, err = f.ReadAt(buf, 11)
	require.Equal(t, io.EOF, err)
	_, err = f.ReadAt(buf, -1)
	require.Error(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, "hello world", s.get(t, "a"))

	// The buffer is the caller's again after Write.
	f, err = s.Create(s.path("a"))
	require.NoError(t, err)
	b := []byte("abc")
	_, err = f.Write(b)
	require.NoError(t, err)
	b[0] = 'X'
	require.NoError(t, f.Close())
	require.Equal(t, "abc", s.get(t, "a"), "Create empties the file")
}

func conformAppend(t *testing.T, s suite) {
	for _, part := range []string{"one", "two"} {
		f, err := s.OpenAppend(s.path("log"))
		require.NoError(t, err)
		_, err = f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		_, err = f.Write([]byte(part))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.Equal(t, "onetwo", s.get(t, "log"))

	f, err := s.OpenAppend(s.path("log"))
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "onetwo", string(data))
	require.NoError(t, f.Truncate(3))
	_, err = f.Write([]byte("3"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, "one3", s.get(t, "log"), "appends where a torn tail was cut")
}

func conformSeek(t *testing.T, s suite) {
	f, err := s.Create(s.path("a"))
	require.NoError(t, err)
	_, err = f.Write([]byte("0123456789"))
	require.NoError(t, err)
	at := func(offset int64, whence int, want int64) {
		t.Helper()
		pos, err := f.Seek(offset, whence)
		require.NoError(t, err)
		require.Equal(t, want, pos)
	}
	at(2, io.SeekStart, 2)
	_, err = f.Write([]byte("AB"))
	require.NoError(t, err)
	at(0, io.SeekCurrent, 4)
	at(-1, io.SeekEnd, 9)
	_, err = f.Seek(-1, io.SeekStart)
	require.Error(t, err)
	at(12, io.SeekStart, 12)
	_, err = f.Write([]byte("C"))
	require.NoError(t, err)
	require.Equal(t, "01AB456789\x00\x00C", s.get(t, "a"))

	require.NoError(t, f.Truncate(4))
	require.NoError(t, f.Truncate(6))
	require.Equal(t, "01AB\x00\x00", s.get(t, "a"), "what was cut does not come back")
	require.Error(t, f.Truncate(-1))
	require.NoError(t, f.Close())
}

func conformMissing(t *testing.T, s suite) {
	for name, err := range map[string]error{
		"open":         second(s.Open(s.path("no"))),
		"open below":   second(s.Open(s.path("no", "no"))),
		"create below": second(s.Create(s.path("no", "a"))),
		"append below": second(s.OpenAppend(s.path("no", "a"))),
		"open folder":  second(s.OpenDir(s.path("no"))),
		"remove":       s.Remove(s.path("no")),
		"rename":       s.Rename(s.path("no"), s.path("b")),
		"link":         s.Link(s.path("no"), s.path("b")),
		"list":         second(s.List(s.path("no"))),
		"stat":         second(s.Stat(s.path("no"))),
		"sync":         s.SyncPath(s.path("no")),
		"lock below":   second(s.Lock(s.path("no", "lock"))),
		"disk free":    second(s.DiskFree(s.path("no"))),
		"read file":    second(ReadFile(s.FS, s.path("no"))),
	} {
		require.ErrorIs(t, err, fs.ErrNotExist, name)
		require.ErrorContains(t, err, "no", "%s: the error has the name", name)
	}
	require.NoError(t, s.RemoveAll(s.path("no")))
	s.missing(t, "b")
}

func second[T any](_ T, err error) error { return err }

func conformHandles(t *testing.T, s suite) {
	s.put(t, "a", "content")
	f, err := s.Open(s.path("a"))
	require.NoError(t, err)
	_, err = f.Write([]byte("x"))
	require.Error(t, err, "opened for reading")
	require.Error(t, f.Truncate(0))
	require.NoError(t, f.Close())

	require.ErrorIs(t, f.Close(), fs.ErrClosed)
	buf := make([]byte, 1)
	for name, err := range map[string]error{
		"read":     second(f.Read(buf)),
		"readat":   second(f.ReadAt(buf, 0)),
		"write":    second(f.Write(buf)),
		"seek":     second(f.Seek(0, io.SeekStart)),
		"sync":     f.Sync(),
		"stat":     second(f.Stat()),
		"truncate": f.Truncate(0),
	} {
		require.ErrorIs(t, err, fs.ErrClosed, name)
	}

	_, err = s.Create(s.dir)
	require.Error(t, err, "a folder is no file")
	_, err = s.OpenAppend(s.dir)
	require.Error(t, err)
	_, err = s.OpenDir(s.path("a"))
	require.Error(t, err, "a file is no folder")
	_, err = s.List(s.path("a"))
	require.Error(t, err)
	_, err = s.Create(s.path("a", "b"))
	require.Error(t, err)
	_, err = s.Lock(s.dir)
	require.Error(t, err)
	d, err := s.OpenDir(s.dir)
	require.NoError(t, err)
	_, err = d.Read(buf)
	require.Error(t, err)
	require.NoError(t, d.Close())
	require.Equal(t, "content", s.get(t, "a"))
}

func conformRename(t *testing.T, s suite) {
	s.put(t, "a", "A")
	s.put(t, "b", "B")
	require.NoError(t, s.Rename(s.path("a"), s.path("b")))
	s.missing(t, "a")
	require.Equal(t, "A", s.get(t, "b"), "replaced")
	require.NoError(t, s.Rename(s.path("b"), s.path("b")))
	require.Equal(t, "A", s.get(t, "b"), "onto itself")

	require.NoError(t, s.MkdirAll(s.path("d", "e")))
	require.NoError(t, s.Rename(s.path("b"), s.path("d", "e", "c")))
	s.missing(t, "b")
	require.NoError(t, s.Rename(s.path("d"), s.path("f")))
	require.Equal(t, "A", s.get(t, filepath.Join("f", "e", "c")), "a folder with all in it")

	require.NoError(t, s.MkdirAll(s.path("empty")))
	require.ErrorIs(t, s.Rename(s.path("f"), s.path("empty")), fs.ErrExist)
	s.put(t, "file", "x")
	require.Error(t, s.Rename(s.path("empty"), s.path("file")), "a folder onto a file")
	require.ErrorIs(t, s.Rename(s.path("file"), s.path("empty")), fs.ErrExist)
	require.Error(t, s.Rename(s.path("f"), s.path("f", "e", "f")), "a folder into itself")
	require.ErrorIs(t, s.Rename(s.path("file"), s.path("no", "file")), fs.ErrNotExist)
	require.Equal(t, "x", s.get(t, "file"))
}

func conformLink(t *testing.T, s suite) {
	s.put(t, "a", "A")
	require.NoError(t, s.Link(s.path("a"), s.path("b")))
	require.ErrorIs(t, s.Link(s.path("a"), s.path("b")), fs.ErrExist)
	f, err := s.OpenAppend(s.path("b"))
	require.NoError(t, err)
	_, err = f.Write([]byte("B"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, "AB", s.get(t, "a"), "one file, two names")
	require.NoError(t, s.Remove(s.path("a")))
	require.Equal(t, "AB", s.get(t, "b"))
	require.NoError(t, s.MkdirAll(s.path("d")))
	require.Error(t, s.Link(s.path("d"), s.path("e")))
}

func conformRemove(t *testing.T, s suite) {
	s.put(t, "a", "A")
	require.NoError(t, s.Remove(s.path("a")))
	s.missing(t, "a")
	require.NoError(t, s.MkdirAll(s.path("d", "e")))
	s.put(t, filepath.Join("d", "x"), "X")
	require.Error(t, s.Remove(s.path("d")), "a folder with something in it")
	require.NoError(t, s.Remove(s.path("d", "e")))
	require.NoError(t, s.RemoveAll(s.path("d")))
	s.missing(t, "d")
	s.put(t, "b", "B")
	require.NoError(t, s.RemoveAll(s.path("b")))
	s.missing(t, "b")
}

func conformUnlinked(t *testing.T, s suite) {
	s.put(t, "a", "old")
	f, err := s.Open(s.path("a"))
	require.NoError(t, err)
	require.NoError(t, s.Remove(s.path("a")))
	s.put(t, "a", "new!")
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "old", string(data))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.Equal(t, "new!", s.get(t, "a"))
}

func conformFolders(t *testing.T, s suite) {
	names, err := s.List(s.dir)
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoError(t, s.MkdirAll(s.path("d", "e")))
	require.NoError(t, s.MkdirAll(s.path("d", "e")), "again")
	for _, n := range []string{"z", "a", "m"} {
		s.put(t, n, n)
	}
	names, err = s.List(s.dir)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "d", "m", "z"}, names, "sorted")
	st, err := s.Stat(s.path("d"))
	require.NoError(t, err)
	require.True(t, st.IsDir())
	require.True(t, st.Mode().IsDir())
	require.Error(t, s.MkdirAll(s.path("a", "b")), "below a file")
	require.Error(t, s.MkdirAll(s.path("a")), "where a file is")
}

func conformSync(t *testing.T, s suite) {
	s.put(t, "a", "A")
	require.NoError(t, s.SyncPath(s.path("a")))
	require.NoError(t, s.SyncPath(s.dir))
	d, err := s.OpenDir(s.dir)
	require.NoError(t, err)
	require.NoError(t, d.Sync())
	require.NoError(t, d.Close())
	f, err := s.Open(s.path("a"))
	require.NoError(t, err)
	require.NoError(t, f.Sync(), "a handle for reading syncs too")
	require.NoError(t, f.Close())
}

func conformLock(t *testing.T, s suite) {
	l, err := s.Lock(s.path("lock"))
	require.NoError(t, err)
	_, err = s.Lock(s.path("lock"))
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, "folder "+s.dir+":")
	require.ErrorContains(t, err, "pid")
	other, err := s.Lock(s.path("other"))
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NoError(t, l.Close())
	l, err = s.Lock(s.path("lock"))
	require.NoError(t, err, "free again")
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Close(), fs.ErrClosed)
}

func conformDiskFree(t *testing.T, s suite) {
	n, err := s.DiskFree(s.dir)
	require.NoError(t, err)
	require.Positive(t, n)
}

func conformHelpers(t *testing.T, s suite) {
	name := s.path("new", "sub", "file")
	require.Error(t, WriteFileAtomic(s.FS, name, nil), "the folder must exist")
	require.NoError(t, MkdirAllSync(s.FS, filepath.Dir(name)))
	require.NoError(t, MkdirAllSync(s.FS, filepath.Dir(name)))
	big := make([]byte, 1<<20)
	for _, data := range [][]byte{[]byte("one"), big, {}, []byte("four")} {
		require.NoError(t, WriteFileAtomic(s.FS, name, data))
		got, err := ReadFile(s.FS, name)
		require.NoError(t, err)
		require.Equal(t, string(data), string(got))
	}
	names, err := s.List(filepath.Dir(name))
	require.NoError(t, err)
	require.Equal(t, []string{"file"}, names, "no temporary file is left")
	require.Error(t, MkdirAllSync(s.FS, name), "where a file is")
	require.Error(t, MkdirAllSync(s.FS, filepath.Join(name, "below")))
}

func conformConcurrent(t *testing.T, s suite) {
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for i := range 4 {
		wg.Go(func() {
			name := s.path("f" + string(rune('0'+i)))
			for range 20 {
				if err := WriteFileAtomic(s.FS, name, []byte(name)); err != nil {
					errs <- err
					return
				}
				got, err := ReadFile(s.FS, name)
				if err != nil || string(got) != name {
					errs <- errors.Join(err, errors.New("read "+string(got)))
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
}
