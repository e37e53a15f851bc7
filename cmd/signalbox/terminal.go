package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// screen is where output goes: how wide it is and whether it shows colours.
type screen struct {
	width  int
	colour bool
}

// screenOf looks at w. What is no terminal has 100 columns, or $COLUMNS, and no
// colours; $NO_COLOR turns them off everywhere.
func screenOf(w io.Writer) screen {
	s := screen{width: 100}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.width = n
	}
	if isTerminal(w) {
		if n, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil && n > 0 {
			s.width = n
		}
		s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	s.width = min(max(s.width, 40), 400)
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
