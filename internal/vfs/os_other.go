//go:build !(linux || darwin || freebsd)

package vfs

import (
	"errors"
	"os"
)

// Running two processes on one folder destroys it, so a system without a lock
// that we know is refused instead of trusted.
func flock(*os.File) error { return errors.ErrUnsupported }

func diskFree(string) (uint64, error) { return 0, errors.ErrUnsupported }
