package hostmetrics

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mount is one line of /proc/mounts.
type mount struct {
	device, point, fsType string
	readOnly              bool
}

// filesystem measures every mount that is not filtered out. One that does not
// answer in time shows device_error 1 and is asked again once it has answered.
func (c *Collector) filesystem(e *emitter) error {
	b, err := c.readProc("1/mounts")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		b, err = c.readProc("mounts")
	}
	if err != nil {
		return err
	}
	var errs []error
	seen := map[mount]bool{}
	for _, m := range parseMounts(b) {
		if c.filters.mountPoints.MatchString(m.point) || c.filters.fsTypes.MatchString(m.fsType) || seen[m] {
			continue
		}
		seen[m] = true
		if err := c.mount(e, m); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.point, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Collector) mount(e *emitter, m mount) error {
	labels := []string{"device", m.device, "mountpoint", m.point, "fstype", m.fsType}
	readOnly, failed := 0.0, 0.0
	if m.readOnly {
		readOnly = 1
	}
	st, err := c.statfs(m.point)
	if err != nil {
		failed = 1
	}
	e.gauge("node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device.", failed, labels...)
	e.gauge("node_filesystem_readonly", "Filesystem read-only status.", readOnly, labels...)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil // node_exporter does not run as root either: shown, no fault of ours
		}
		return err
	}
	block := float64(st.Bsize)
	e.gauge("node_filesystem_size_bytes", "Filesystem size in bytes.", float64(st.Blocks)*block, labels...)
	e.gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.", float64(st.Bfree)*block, labels...)
	e.gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", float64(st.Bavail)*block, labels...)
	e.gauge("node_filesystem_files", "Filesystem total file nodes.", float64(st.Files), labels...)
	e.gauge("node_filesystem_files_free", "Filesystem total free file nodes.", float64(st.Ffree), labels...)
	return nil
}

var errStuck = errors.New("the file system does not answer")

// stuckMounts are the mount points whose statfs has not returned in time.
type stuckMounts struct {
	sync.Mutex
	points map[string]bool
}

// statfs asks the kernel about a mount, which may hang for as long as a file
// server is away: the asking goroutine is left behind then, one a mount at most.
func (c *Collector) statfs(point string) (*unix.Statfs_t, error) {
	if c.mu.state.stuck == nil {
		c.mu.state.stuck = &stuckMounts{points: map[string]bool{}}
	}
	stuck := c.mu.state.stuck
	stuck.Lock()
	hangs := stuck.points[point]
	stuck.Unlock()
	if hangs {
		return nil, errStuck
	}
	var (
		st   unix.Statfs_t
		err  error
		late bool // guarded by stuck, like answered
	)
	answered := make(chan struct{})
	path := filepath.Join(c.cfg.RootPath, point)
	go func() {
		var own unix.Statfs_t // not st: nobody may read st once this is late
		failure := unix.Statfs(path, &own)
		stuck.Lock()
		defer stuck.Unlock()
		if late {
			delete(stuck.points, point)
			return
		}
		st, err = own, failure
		close(answered)
	}()
	timer := time.NewTimer(c.cfg.MountTimeout)
	defer timer.Stop()
	select {
	case <-answered:
		return &st, err
	case <-timer.C:
	}
	stuck.Lock()
	defer stuck.Unlock()
	select {
	case <-answered: // just in time
		return &st, err
	default:
		late = true
		stuck.points[point] = true
		return nil, errStuck
	}
}

// parseMounts reads /proc/mounts. A line that is too short is left out.
func parseMounts(b []byte) []mount {
	var mounts []mount
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 4 {
			continue
		}
		options := strings.Split(f[3], ",")
		mounts = append(mounts, mount{
			device: f[0], point: unescape.Replace(f[1]), fsType: f[2],
			readOnly: slices.Contains(options, "ro"),
		})
	}
	return mounts
}

// unescape undoes what the kernel does to blanks in mount points.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
