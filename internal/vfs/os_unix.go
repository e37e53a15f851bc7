//go:build linux || darwin || freebsd

package vfs

import (
	"errors"
	"os"
	"syscall"
)

// flock takes the lock of an open file, or returns ErrLocked.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return err
		}
	}
}

func diskFree(name string) (uint64, error) {
	var st syscall.Statfs_t
	for {
		err := syscall.Statfs(name, &st)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		// The field types differ between systems. FreeBSD counts below zero when
		// only root's reserve is left.
		if avail := int64(st.Bavail); err == nil && avail > 0 {
			return uint64(avail) * uint64(st.Bsize), nil
		}
		return 0, err
	}
}
