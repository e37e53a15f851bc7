package telemetry

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// Log is the program's logger with a level that can be changed while it runs.
type Log struct {
	*slog.Logger
	level slog.LevelVar
}

// NewLog returns a logger that writes lines to w, each with one Write. Errors of
// w are not reported: there is nowhere to report them.
func NewLog(w io.Writer, cfg Config) (*Log, error) {
	if _, err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Log{}
	if err := l.SetLevel(cfg.Level); err != nil {
		return nil, err
	}
	if cfg.Format == FormatJSON {
		l.Logger = slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: &l.level}))
	} else {
		l.Logger = slog.New(newTextHandler(w, &l.level, onTerminal(w)))
	}
	return l, nil
}

// SetLevel changes the level, for a reload: debug, info, warn or error.
func (l *Log) SetLevel(level string) error {
	v, err := parseLevel(level)
	if err != nil {
		return err
	}
	l.level.Set(v)
	return nil
}

// onTerminal reports whether w is a terminal that shows colours.
func onTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	// https://no-color.org: any value but none means no colour.
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Component returns l with the name of a part of the program; nil discards.
func Component(l *slog.Logger, name string) *slog.Logger {
	return OrDiscard(l).With("component", name)
}

// OrDiscard returns l, or a logger that writes nothing when l is nil.
func OrDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
