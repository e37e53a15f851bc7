package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// pair carries out every operation on a Mem and on the real disk.
type pair struct {
	t    *rapid.T
	fs   [2]FS
	root [2]string
	open [2][]File
}

// both runs fn on each side and compares whether it failed, and how.
func (p *pair) both(what string, fn func(fsys FS, root string, side int) error) {
	var errs [2]error
	for i := range p.fs {
		errs[i] = fn(p.fs[i], p.root[i], i)
	}
	require.Equal(p.t, errs[1] == nil, errs[0] == nil, "%s: mem: %v, os: %v", what, errs[0], errs[1])
	if two, _, _ := strings.Cut(what, " "); two == "rename" || two == "link" {
		return // when both names are wrong, which one is reported does not matter
	}
	for _, kind := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, io.EOF} {
		require.Equal(p.t, errors.Is(errs[1], kind), errors.Is(errs[0], kind), "%s: mem: %v, os: %v", what, errs[0], errs[1])
	}
}

var modelNames = []string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a"}

// TestMemIsLikeTheRealDisk runs random histories on both.
func TestMemIsLikeTheRealDisk(t *testing.T) {
	tmp := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(tmp, "")
		require.NoError(t, err)
		mem := NewMem()
		p := &pair{t: t, fs: [2]FS{mem, OS{}}, root: [2]string{"/", dir}}
		name := func(label string) string { return rapid.SampledFrom(modelNames).Draw(t, label) }
		data := func() []byte { return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data") }
		opened := func(what string, fn func(FS, string) (File, error)) {
			var got [2]File
			p.both(what, func(fsys FS, root string, side int) (err error) {
				got[side], err = fn(fsys, root)
				return err
			})
			if got[0] != nil {
				p.open[0], p.open[1] = append(p.open[0], got[0]), append(p.open[1], got[1])
			}
		}
		file := func() int {
			if len(p.open[0]) == 0 {
				t.Skip("nothing is open")
			}
			return rapid.IntRange(0, len(p.open[0])-1).Draw(t, "file")
		}
		defer func() {
			for _, list := range p.open {
				for _, f := range list {
					_ = f.Close()
				}
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"create": func(*rapid.T) {
				n := name("name")
				opened("create "+n, func(f FS, root string) (File, error) { return f.Create(filepath.Join(root, n)) })
			},
			"append": func(*rapid.T) {
				n := name("name")
				opened("append "+n, func(f FS, root string) (File, error) { return f.OpenAppend(filepath.Join(root, n)) })
			},
			"open": func(*rapid.T) {
				n := name("name")
				opened("open "+n, func(f FS, root string) (File, error) { return f.Open(filepath.Join(root, n)) })
			},
			"mkdir": func(*rapid.T) {
				n := name("name")
				p.both("mkdir "+n, func(f FS, root string, _ int) error { return f.MkdirAll(filepath.Join(root, n)) })
			},
			"remove": func(*rapid.T) {
				n := name("name")
				p.both("remove "+n, func(f FS, root string, _ int) error { return f.Remove(filepath.Join(root, n)) })
			},
			"removeall": func(*rapid.T) {
				n := name("name")
				p.both("removeall "+n, func(f FS, root string, _ int) error { return f.RemoveAll(filepath.Join(root, n)) })
			},
			"rename": func(*rapid.T) {
				a, b := name("old"), name("new")
				p.both("rename "+a+" "+b, func(f FS, root string, _ int) error {
					return f.Rename(filepath.Join(root, a), filepath.Join(root, b))
				})
			},
			"link": func(*rapid.T) {
				a, b := name("old"), name("new")
				p.both("link "+a+" "+b, func(f FS, root string, _ int) error {
					return f.Link(filepath.Join(root, a), filepath.Join(root, b))
				})
			},
			"write": func(*rapid.T) {
				i, d := file(), data()
				p.both("write", func(_ FS, _ string, side int) error { return second(p.open[side][i].Write(d)) })
			},
			"seek": func(*rapid.T) {
				i, off := file(), rapid.Int64Range(0, 50).Draw(t, "offset")
				if st, err := p.open[1][i].Stat(); err != nil || st.IsDir() {
					t.Skip("seeking in a folder means nothing")
				}
				p.both("seek", func(_ FS, _ string, side int) error { return second(p.open[side][i].Seek(off, io.SeekStart)) })
			},
			"truncate": func(*rapid.T) {
				i, size := file(), rapid.Int64Range(0, 50).Draw(t, "size")
				p.both("truncate", func(_ FS, _ string, side int) error { return p.open[side][i].Truncate(size) })
			},
			"sync": func(*rapid.T) {
				// The real disk's sync is slow, and nothing here could tell what it did.
				_ = p.open[0][file()].Sync()
			},
			"read": func(*rapid.T) {
				i := file()
				var got [2][64]byte
				p.both("read", func(_ FS, _ string, side int) error { return second(p.open[side][i].Read(got[side][:])) })
				require.Equal(t, got[1], got[0])
			},
			"close": func(*rapid.T) {
				i := file()
				p.both("close", func(_ FS, _ string, side int) error { return p.open[side][i].Close() })
			},
			"": func(t *rapid.T) {
				require.Equal(t, content(t, OS{}, dir), content(t, mem, "/"))
			},
		})
		checkPowerLoss(t, mem)
	})
}

// content maps each path below dir to "dir" or to what the file holds.
func content(t require.TestingT, fsys FS, dir string) map[string]string {
	out := map[string]string{}
	var walk func(rel string)
	walk = func(rel string) {
		names, err := fsys.List(filepath.Join(dir, rel))
		require.NoError(t, err)
		for _, n := range names {
			sub := path.Join(rel, n)
			st, err := fsys.Stat(filepath.Join(dir, sub))
			require.NoError(t, err)
			if st.IsDir() {
				out[sub] = "dir"
				walk(sub)
				continue
			}
			data, err := ReadFile(fsys, filepath.Join(dir, sub))
			require.NoError(t, err)
			require.EqualValues(t, len(data), st.Size())
			out[sub] = "file " + string(data)
		}
	}
	walk("")
	return out
}

// checkPowerLoss holds after any history: once all is synced, any power loss
// leaves exactly what is there; and a disk after power loss is a sound one.
func checkPowerLoss(t *rapid.T, mem *Mem) {
	loss := PowerLoss{Rand: rand.New(rand.NewPCG(0, rapid.Uint64().Draw(t, "seed"))), Garbage: true}
	for _, l := range []PowerLoss{{}, loss} {
		after := mem.LosePower(l)
		left := content(t, after, "/")
		require.Equal(t, left, content(t, after.LosePower(loss), "/"), "what is left is durable")
		require.NoError(t, after.RemoveAll("/"))
		require.Zero(t, after.Used(), "the space of every file is accounted for once")
	}
	all := content(t, mem, "/")
	for name := range all {
		require.NoError(t, mem.SyncPath(name))
	}
	require.NoError(t, mem.SyncPath("/"))
	require.Equal(t, all, content(t, mem.LosePower(PowerLoss{}), "/"))
	require.Equal(t, all, content(t, mem.LosePower(loss), "/"))
}
