package vfs

import (
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

// everyOp carries out each operation once on a file "a" in a folder "d" and
// returns the errors by operation.
func everyOp(t *testing.T, m *Mem, fsys FS) map[Op]error {
	t.Helper()
	require.NoError(t, m.MkdirAll("d"))
	require.NoError(t, WriteFileAtomic(m, "d/a", []byte("content")))
	errs := map[Op]error{}
	do := func(op Op, err error) { errs[op] = errors.Join(errs[op], err) }
	closing := func(op Op) func(c io.Closer, err error) {
		return func(c io.Closer, err error) {
			if err == nil {
				err = c.Close()
			}
			do(op, err)
		}
	}
	file := func(op Op) func(c File, err error) {
		return func(c File, err error) { closing(op)(c, err) }
	}
	file(OpCreate)(fsys.Create("d/b"))
	file(OpOpen)(fsys.Open("d/a"))
	file(OpOpenAppend)(fsys.OpenAppend("d/a"))
	file(OpOpenDir)(fsys.OpenDir("d"))
	do(OpLink, fsys.Link("d/a", "d/l"))
	do(OpRename, fsys.Rename("d/a", "d/r"))
	require.NoError(t, WriteFileAtomic(m, "d/a", []byte("content")))
	do(OpSyncPath, fsys.SyncPath("d/a"))
	_, err := fsys.List("d")
	do(OpList, err)
	_, err = fsys.Stat("d")
	do(OpStat, err)
	_, err = fsys.DiskFree("d")
	do(OpDiskFree, err)
	closing(OpLock)(fsys.Lock("d/lock"))
	do(OpMkdirAll, fsys.MkdirAll("d/e"))

	// The handle itself must open even when opening is what fails.
	inner, err := m.OpenAppend("d/a")
	require.NoError(t, err)
	f := inner
	if faulty, ok := fsys.(*Faulty); ok {
		f = &faultyFile{File: inner, fs: faulty}
	}
	buf := make([]byte, 4)
	_, err = f.Read(buf)
	do(OpRead, err)
	_, err = f.ReadAt(buf, 1)
	do(OpReadAt, err)
	_, err = f.Write(buf)
	do(OpWrite, err)
	_, err = f.Stat()
	do(OpFileStat, err)
	do(OpSync, f.Sync())
	do(OpTruncate, f.Truncate(2))
	require.NoError(t, f.Close())

	do(OpRemove, fsys.Remove("d/a"))
	do(OpRemoveAll, fsys.RemoveAll("d"))
	return errs
}

func TestFaultyFailsExactlyTheScriptedOperation(t *testing.T) {
	m := NewMem()
	all := everyOp(t, m, NewFaulty(m, nil))
	require.Len(t, all, 20, "an operation was added: add it here and to Op")
	for op := range all {
		require.NoError(t, all[op])
		m := NewMem()
		errs := everyOp(t, m, NewFaulty(m, OnOps(FailFrom(1, ErrIO), op)))
		for other, err := range errs {
			if other != op {
				require.NoError(t, err, "%s fails with %s", other, op)
				continue
			}
			require.ErrorIs(t, err, ErrIO)
			pe, ok := errors.AsType[*fs.PathError](err)
			require.True(t, ok)
			require.Equal(t, string(op), pe.Op)
		}
	}
}

func TestSkippedOperationsReportSuccess(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.MkdirAll("d"))
	fsys := NewFaulty(m, OnWrites(FailFrom(1, ErrSkip)))
	require.NoError(t, WriteFileAtomic(m, "f", []byte("x")))
	require.NoError(t, fsys.Remove("f"))
	require.NoError(t, fsys.RemoveAll("f"))
	require.NoError(t, fsys.Rename("f", "g"))
	require.NoError(t, fsys.Link("f", "g"))
	require.NoError(t, fsys.MkdirAll("e"))
	require.NoError(t, fsys.SyncPath("f"))
	require.Equal(t, "d/ f=x", tree(t, m, ""))
	_, err := fsys.Create("h")
	require.ErrorIs(t, err, ErrSkip, "no file could be returned")

	f, err := m.OpenAppend("f")
	require.NoError(t, err)
	ff := &faultyFile{File: f, fs: fsys}
	n, err := ff.Write([]byte("lost"))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.NoError(t, ff.Truncate(0))
	require.NoError(t, ff.Sync())
	require.NoError(t, ff.Close())
	require.Equal(t, "d/ f=x", tree(t, m, ""))
}

func TestShortWrites(t *testing.T) {
	for _, c := range []struct {
		name string
		err  *ShortWrite
		n    int
		want error
	}{
		{"in the middle", &ShortWrite{N: 3}, 3, ErrNoSpace},
		{"another error", &ShortWrite{N: 1, Err: ErrIO}, 1, ErrIO},
		{"nothing", &ShortWrite{}, 0, ErrNoSpace},
		{"all, and still an error", &ShortWrite{N: 99}, 6, ErrNoSpace},
		{"negative", &ShortWrite{N: -1}, 0, ErrNoSpace},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewMem()
			f, err := NewFaulty(m, OnOps(FailNth(1, c.err), OpWrite)).Create("f")
			require.NoError(t, err)
			n, err := f.Write([]byte("abcdef"))
			require.ErrorIs(t, err, c.want)
			require.Equal(t, c.n, n)
			require.Equal(t, "f="+"abcdef"[:c.n], tree(t, m, ""))
			_, err = f.Write([]byte("!"))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		})
	}
}

func TestScripts(t *testing.T) {
	ask := func(s Script, n int, op Op, path string) (failed []int) {
		for i := 1; i <= n; i++ {
			if s(op, path) != nil {
				failed = append(failed, i)
			}
		}
		return failed
	}
	require.Equal(t, []int{3}, ask(FailNth(3, ErrIO), 5, OpSync, "a"))
	require.Equal(t, []int{3, 4, 5}, ask(FailFrom(3, ErrIO), 5, OpSync, "a"))
	require.Empty(t, ask(OnOps(FailFrom(1, ErrIO), OpWrite), 2, OpSync, "a"))
	require.Empty(t, ask(OnWrites(FailFrom(1, ErrIO)), 2, OpRead, "a"))
	require.Equal(t, []int{1, 2}, ask(OnBase("*.wal", FailFrom(1, ErrIO)), 2, OpRead, "/x/1.wal"))
	require.Empty(t, ask(OnBase("*.wal", FailFrom(1, ErrIO)), 2, OpRead, "/x.wal/1"))
	require.Empty(t, ask(OnBase("[", FailFrom(1, ErrIO)), 2, OpRead, "["))
	require.Equal(t, []int{1, 3}, ask(All(FailNth(1, ErrIO), FailNth(2, ErrIO)), 4, OpRead, "a"))

	var sw Switch
	require.NoError(t, sw.Script(OpRead, "a"))
	sw.Set(ErrNoSpace)
	require.ErrorIs(t, sw.Script(OpRead, "a"), ErrNoSpace)
	sw.Set(nil)
	require.NoError(t, sw.Script(OpRead, "a"))
}
