package vfs

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// cutPower runs WriteFileAtomic on a disk whose power goes before its n-th
// writing operation (n = 0: never), and returns the disk after.
func cutPower(m *Mem, n int64, name string, data []byte, loss PowerLoss) (*Mem, error) {
	var fsys FS = m
	if n > 0 {
		fsys = NewFaulty(m, FailFrom(n, ErrIO))
	}
	err := WriteFileAtomic(fsys, name, data)
	return m.LosePower(loss), err
}

// opsOf counts the operations of one WriteFileAtomic.
func opsOf(t require.TestingT) int64 {
	var c Counter
	require.NoError(t, WriteFileAtomic(NewFaulty(NewMem(), c.Script), "f", []byte("x")))
	return c.Count()
}

func TestWriteFileAtomicSurvivesPowerLossAtEveryOperation(t *testing.T) {
	ops := opsOf(t)
	require.GreaterOrEqual(t, ops, int64(6), "create, write, sync, rename, open folder, sync")
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "old")
		data := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "new")
		exists := rapid.Bool().Draw(t, "exists")
		cut := rapid.Int64Range(0, ops).Draw(t, "cut")
		loss := PowerLoss{Garbage: rapid.Bool().Draw(t, "garbage")}
		if rapid.Bool().Draw(t, "random") {
			loss.Rand = rand.New(rand.NewPCG(0, rapid.Uint64().Draw(t, "seed")))
		}

		m := NewMem()
		require.NoError(t, MkdirAllSync(m, "d"))
		if exists {
			require.NoError(t, WriteFileAtomic(m, "d/f", old))
		}
		after, werr := cutPower(m, cut, "d/f", data, loss)
		require.Equal(t, cut == 0, werr == nil)

		got, err := ReadFile(after, "d/f")
		switch {
		case werr == nil:
			require.NoError(t, err)
			require.Equal(t, string(data), string(got), "what was acknowledged is there")
		case err != nil:
			require.False(t, exists, "the old file is lost: %v", err)
		case exists:
			require.Contains(t, []string{string(old), string(data)}, string(got))
		default:
			require.Equal(t, string(data), string(got))
		}
	})
}

// The property above must fail for writers that leave a sync out; else it proves
// nothing.
func TestPowerLossCatchesAMissingSync(t *testing.T) {
	for name, skip := range map[string]Script{
		"of the file":   OnOps(OnBase("*"+TempSuffix, FailFrom(1, ErrSkip)), OpSync),
		"of the folder": OnOps(OnBase("d", FailFrom(1, ErrSkip)), OpSync),
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMem()
			require.NoError(t, MkdirAllSync(m, "d"))
			require.NoError(t, WriteFileAtomic(m, "d/f", []byte("old")))
			require.NoError(t, WriteFileAtomic(NewFaulty(m, skip), "d/f", []byte("new")))
			got, err := ReadFile(m.LosePower(PowerLoss{}), "d/f")
			require.NoError(t, err)
			require.NotEqual(t, "new", string(got))
		})
	}
}

func TestWriteFileAtomicAfterErrors(t *testing.T) {
	ops := opsOf(t)
	for n := int64(1); n <= ops; n++ {
		m := NewMem()
		require.NoError(t, WriteFileAtomic(m, "f", []byte("old")))
		err := WriteFileAtomic(NewFaulty(m, FailNth(n, ErrIO)), "f", []byte("new"))
		require.ErrorIs(t, err, ErrIO)
		require.ErrorContains(t, err, "write f: ")
		got := tree(t, m, "")
		require.Contains(t, []string{"f=old", "f=new"}, got, "operation %d: no temporary file is left", n)
	}
	m := NewMem()
	m.SetSize(8)
	require.NoError(t, WriteFileAtomic(m, "f", []byte("old")))
	require.ErrorIs(t, WriteFileAtomic(m, "f", []byte("too long")), ErrNoSpace)
	require.Equal(t, "f=old", tree(t, m, ""))
	require.EqualValues(t, 3, m.Used(), "the full disk got its space back")
}

func TestMkdirAllSyncSurvivesPowerLoss(t *testing.T) {
	m := NewMem()
	require.NoError(t, MkdirAllSync(m, "/a/b/c"))
	require.Equal(t, "a/ a/b/ a/b/c/", tree(t, m.LosePower(PowerLoss{}), ""))
	require.NoError(t, MkdirAllSync(m, "/"))

	// A process that is killed at any operation, and then runs again and is told
	// that all is well, must have it on disk.
	for n := int64(1); n < 20; n++ {
		m := NewMem()
		_ = MkdirAllSync(NewFaulty(m, OnWrites(FailFrom(n, ErrIO))), "a/b/c")
		require.NoError(t, MkdirAllSync(m, "a/b/c"))
		require.Equal(t, "a/ a/b/ a/b/c/", tree(t, m.LosePower(PowerLoss{}), ""), "killed at operation %d", n)
	}
}

func TestIsTemp(t *testing.T) {
	m := NewMem()
	_ = WriteFileAtomic(NewFaulty(m, OnOps(FailFrom(1, ErrIO), OpRename, OpRemove)), "f", nil)
	names, err := m.List("/")
	require.NoError(t, err)
	require.Len(t, names, 1, "a leftover when even the removal fails")
	require.True(t, IsTemp(names[0]), strings.Join(names, " "))
	require.False(t, IsTemp("f"))
}
