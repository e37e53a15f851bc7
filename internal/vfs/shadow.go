package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// Shadow is the real file system, with a memory of how much of each file was
// synced THROUGH IT. A library that writes with package os (Prometheus' TSDB)
// runs on the real folder, its caller syncs with Shadow.SyncPath, and LosePower
// copies what would be left.
//
// What it takes for granted: synced files are append-only; a rename of a synced
// file is durable at once; removed files do not come back. So is a new name, as
// on ext4, xfs and btrfs, where a sync of a new file brings its name along;
// StrictNames asks for the sync of the folder too. What a library syncs itself
// is not seen: list it in ShadowLoss.Keep.
type Shadow struct {
	OS
	dir string
	mu  struct {
		sync.Mutex
		files []*shadowFile
		dirs  []*shadowFile // folders synced, with the files they held then
	}
}

var _ FS = (*Shadow)(nil)

// shadowFile is one file or folder, known by its inode and not by its name. The
// open handle keeps the system from giving the inode to another file.
type shadowFile struct {
	pin    *os.File
	info   fs.FileInfo
	synced int64                  // a file: bytes on disk
	names  map[string]fs.FileInfo // a folder: what it held at its last sync
}

// NewShadow returns a Shadow over a real folder that has seen no sync. Close it.
func NewShadow(dir string) *Shadow { return &Shadow{dir: dir} }

// Close lets go of the files; the Shadow forgets every sync.
func (s *Shadow) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, list := range [][]*shadowFile{s.mu.files, s.mu.dirs} {
		for _, f := range list {
			errs = append(errs, f.pin.Close())
		}
	}
	s.mu.files, s.mu.dirs = nil, nil
	return errors.Join(errs...)
}

// Sync syncs a real file and its folder and remembers the file's length.
func (s *Shadow) Sync(name string) error {
	return errors.Join(s.SyncPath(name), s.SyncPath(filepath.Dir(name)))
}

// SyncPath implements FS: it syncs the real file and remembers its length as it
// was before the sync, because what is written meanwhile may be left out.
func (s *Shadow) SyncPath(name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	rec := &shadowFile{pin: f, info: info, synced: info.Size()}
	if info.IsDir() {
		if rec.names, err = namesIn(name); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	keep = s.remember(rec)
	return nil
}

// remember stores what was synced. It reports whether rec itself was kept.
func (s *Shadow) remember(rec *shadowFile) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &s.mu.files
	if rec.info.IsDir() {
		list = &s.mu.dirs
	}
	if have := find(*list, rec.info); have != nil {
		have.names = rec.names
		// Two syncs at once may end in the other order; a file cut shorter is
		// bounded by its size when the power goes.
		have.synced = max(have.synced, rec.synced)
		return false
	}
	*list = append(*list, rec)
	return true
}

func find(list []*shadowFile, info fs.FileInfo) *shadowFile {
	for _, f := range list {
		if os.SameFile(f.info, info) {
			return f
		}
	}
	return nil
}

func namesIn(dir string) (map[string]fs.FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make(map[string]fs.FileInfo, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		names[e.Name()] = info
	}
	return names, nil
}

// Create implements FS; a Sync of the file counts as SyncPath.
func (s *Shadow) Create(name string) (File, error) { return s.open(s.OS.Create(name)) }

// Open implements FS; a Sync of the file counts as SyncPath.
func (s *Shadow) Open(name string) (File, error) { return s.open(s.OS.Open(name)) }

// OpenAppend implements FS; a Sync of the file counts as SyncPath.
func (s *Shadow) OpenAppend(name string) (File, error) { return s.open(s.OS.OpenAppend(name)) }

// OpenDir implements FS; a Sync of the folder counts as SyncPath.
func (s *Shadow) OpenDir(name string) (File, error) { return s.open(s.OS.OpenDir(name)) }

func (s *Shadow) open(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &shadowHandle{File: f, s: s}, nil
}

// shadowHandle reports syncs. The file must still have the name it was opened
// by, or one that leads to it by the time of the sync.
type shadowHandle struct {
	File
	s *Shadow
}

func (h *shadowHandle) Sync() error {
	before, err := h.Stat()
	if err != nil {
		return err
	}
	if at, err := os.Stat(h.Name()); err == nil && os.SameFile(at, before) {
		return h.s.SyncPath(h.Name())
	}
	return h.File.Sync() // renamed or removed: durable, but not known to be
}

// ShadowLoss says what survives beyond what was synced through the Shadow.
type ShadowLoss struct {
	// Keep lists files that are kept whole, by slash-separated patterns relative to
	// the folder: path.Match for each element, and ** for any number of elements.
	// For files that the library syncs itself and never changes after.
	Keep []string
	// Rand, when set, keeps a random part of what was not synced: more of a file
	// that was, a prefix of one that was not.
	Rand *rand.Rand
	// StrictNames drops a synced file whose name was not in its folder when the
	// folder was last synced through the Shadow.
	StrictNames bool
}

// LosePower copies the folder to dst as power loss at this moment leaves it.
// dst is made, and must not be inside the folder. A sync that runs at the same
// time counts or does not; the library may go on writing. The zero ShadowLoss
// keeps what was synced through the Shadow and nothing else.
func (s *Shadow) LosePower(dst string, loss ShadowLoss) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		rel, err := filepath.Rel(s.dir, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dst, rel), dirPerm)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return ignoreGone(s.copyLocked(name, rel, filepath.Join(dst, rel), loss))
	})
	if err != nil {
		return fmt.Errorf("copy %s after power loss: %w", s.dir, err)
	}
	return nil
}

// ignoreGone forgives a file that was removed during the walk.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *Shadow) copyLocked(name, rel, dst string, loss ShadowLoss) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	n, keep := s.lengthLocked(name, rel, info, loss)
	if !keep {
		return nil
	}
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(f, n))
	return errors.Join(err, out.Close())
}

// lengthLocked returns how much of a file is left, and whether it is there at all.
func (s *Shadow) lengthLocked(name, rel string, info fs.FileInfo, loss ShadowLoss) (int64, bool) {
	size := info.Size()
	for _, pattern := range loss.Keep {
		if matchPath(pattern, filepath.ToSlash(rel)) {
			return size, true
		}
	}
	synced, there := int64(0), false
	if rec := find(s.mu.files, info); rec != nil && (!loss.StrictNames || s.namedLocked(name, info)) {
		synced, there = min(rec.synced, size), true
	}
	if loss.Rand == nil {
		return synced, there
	}
	more := synced + loss.Rand.Int64N(size-synced+1)
	return more, there || loss.Rand.IntN(2) == 0
}

// namedLocked reports whether the file's name was in its folder at the folder's last sync.
func (s *Shadow) namedLocked(name string, info fs.FileInfo) bool {
	dir, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return false
	}
	rec := find(s.mu.dirs, dir)
	if rec == nil {
		return false
	}
	at, ok := rec.names[filepath.Base(name)]
	return ok && os.SameFile(at, info)
}
