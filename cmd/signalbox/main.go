// Command signalbox is an observability back end in one binary: the server and
// the tools to configure and to ask it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"signalbox/internal/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command could not do its work
	exitUsage  = 2 // the command line itself was wrong
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errSaid) {
		return exitFailed
	}
	for _, e := range config.Faults(err) {
		fmt.Fprintln(stderr, "signalbox:", e)
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		if u.cmd != nil {
			cmd = u.cmd
		}
		fmt.Fprintf(stderr, "See '%s --help'.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// errSaid ends a command that has already told the user what is wrong.
var errSaid = errors.New("already reported")

// usageError is a command line that cannot be meant.
type usageError struct {
	cmd *cobra.Command // nil: the command that ran
	err error
}

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}
