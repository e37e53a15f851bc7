package telemetry

import (
	"context"
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// textHandler writes `time LEVEL message key=value ...`. What could break a line
// or pass for another field is quoted: values come from the network.
type textHandler struct {
	out    *textOutput
	level  slog.Leveler
	colour bool
	prefix string // of keys: the open groups, each with a dot
	attrs  []byte // written by WithAttrs already, each with a space before it
}

// textOutput is shared by a handler and all made from it.
type textOutput struct {
	mu sync.Mutex
	w  io.Writer
}

func newTextHandler(w io.Writer, level slog.Leveler, colour bool) *textHandler {
	return &textHandler{out: &textOutput{w: w}, level: level, colour: colour}
}

const (
	// On a terminal the date is known.
	timeShort = "15:04:05.000"
	timeLong  = "2006-01-02T15:04:05.000Z07:00"
)

// ANSI colours.
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	cyan   = "\x1b[36m"
)

var lines = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledLine keeps one giant line from staying in memory.
const maxPooledLine = 16 << 10

func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	p := lines.Get().(*[]byte)
	b := h.appendLine((*p)[:0], r)
	h.out.mu.Lock()
	_, err := h.out.w.Write(b)
	h.out.mu.Unlock()
	if cap(b) <= maxPooledLine {
		*p = b
		lines.Put(p)
	}
	return err
}

func (h *textHandler) appendLine(b []byte, r slog.Record) []byte {
	if !r.Time.IsZero() {
		if h.colour {
			b = append(b, faint...)
			b = r.Time.AppendFormat(b, timeShort)
			b = append(b, reset...)
		} else {
			b = r.Time.UTC().AppendFormat(b, timeLong)
		}
		b = append(b, ' ')
	}
	b = h.appendLevel(b, r.Level)
	b = append(b, ' ')
	if h.colour {
		b = append(b, bold...)
	}
	b = appendText(b, r.Message, false)
	if h.colour {
		b = append(b, reset...)
	}
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = h.appendAttr(b, h.prefix, a)
		return true
	})
	return append(b, '\n')
}

func (h *textHandler) appendLevel(b []byte, l slog.Level) []byte {
	if h.colour {
		c := cyan
		switch {
		case l >= slog.LevelError:
			c = red
		case l >= slog.LevelWarn:
			c = yellow
		case l >= slog.LevelInfo:
			c = green
		}
		b = append(b, c...)
	}
	start := len(b)
	b = append(b, l.String()...)
	for len(b)-start < len("ERROR") {
		b = append(b, ' ')
	}
	if h.colour {
		b = append(b, reset...)
	}
	return b
}

// WithAttrs formats once what every line of the new handler carries.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		c.attrs = h.appendAttr(c.attrs, h.prefix, a)
	}
	return &c
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.prefix += name + "."
	return &c
}

func (h *textHandler) appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, ga := range v.Group() {
			b = h.appendAttr(b, prefix, ga)
		}
		return b
	}
	if a.Key == "" && v.Equal(slog.Value{}) {
		return b
	}
	b = append(b, ' ')
	if h.colour {
		b = append(b, faint...)
	}
	b = appendText(b, prefix+a.Key, true)
	b = append(b, '=')
	if h.colour {
		b = append(b, reset...)
	}
	return appendValue(b, v)
}

func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendText(b, v.String(), true)
	case slog.KindTime:
		return v.Time().AppendFormat(b, time.RFC3339Nano)
	case slog.KindAny:
		return appendText(b, anyText(v.Any()), true)
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindUint64:
		return append(b, v.String()...)
	case slog.KindGroup, slog.KindLogValuer: // resolved by the caller
	}
	return appendText(b, v.String(), true)
}

// anyText formats a value as slog does, and survives methods that panic on a nil
// pointer: a log line must not end the process.
func anyText(v any) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = fmt.Sprintf("!PANIC: %v", r)
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return string(b)
		}
	case []byte:
		return string(v)
	}
	return fmt.Sprintf("%+v", v)
}

// appendText writes s, quoted when it must be. A field must be when it is empty
// or holds a space, a quote or `=`; a message only for what a terminal or a
// reader of lines would take for something else.
func appendText(b []byte, s string, field bool) []byte {
	if needsQuotes(s, field) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func needsQuotes(s string, field bool) bool {
	if field && s == "" {
		return true
	}
	for _, r := range s {
		switch {
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return true
		case field && (r == ' ' || r == '"' || r == '='):
			return true
		}
	}
	return false
}
