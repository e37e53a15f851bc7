package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestConfig(t *testing.T) {
	c := DefaultConfig()
	warnings, err := c.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
	for _, level := range []string{"debug", "info", "warn", "error", "INFO", "warning"} {
		c := Config{Level: level, Format: "json"}
		_, err := c.Validate()
		require.NoError(t, err, level)
	}
	c = Config{Level: "loud", Format: "xml"}
	_, err = c.Validate()
	require.ErrorContains(t, err, `level: "loud" is none of`)
	require.ErrorContains(t, err, `format: "xml" is neither`)
	_, err = NewLog(&bytes.Buffer{}, c)
	require.Error(t, err)
}

func TestLevelCanBeChanged(t *testing.T) {
	for _, format := range []string{FormatText, FormatJSON} {
		var out bytes.Buffer
		l, err := NewLog(&out, Config{Level: "warn", Format: format})
		require.NoError(t, err)
		derived := l.With("component", "x")
		derived.Info("quiet")
		require.Zero(t, out.Len())
		require.NoError(t, l.SetLevel("debug"))
		derived.Debug("loud")
		require.Contains(t, out.String(), "loud")
		require.Error(t, l.SetLevel("shout"))
		out.Reset()
		derived.Debug("still loud")
		require.NotZero(t, out.Len())
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLog(&out, Config{Level: "info", Format: FormatJSON})
	require.NoError(t, err)
	Component(l.Logger, "tsdb").Error("cannot write", "err", errors.New("disk"))
	var got map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	delete(got, "time")
	require.Equal(t, map[string]any{"level": "ERROR", "msg": "cannot write", "component": "tsdb", "err": "disk"}, got)
}

type nilPanics struct{ s string }

func (n *nilPanics) Error() string { return n.s }

type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("***") }

// at is the time of every record in these tests.
var at = time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.FixedZone("", 3600))

func line(t *testing.T, colour bool, level slog.Level, msg string, with func(slog.Handler) slog.Handler, args ...any) string {
	t.Helper()
	var out bytes.Buffer
	var h slog.Handler = newTextHandler(&out, slog.LevelDebug, colour)
	if with != nil {
		h = with(h)
	}
	r := slog.NewRecord(at, level, msg, 0)
	r.Add(args...)
	require.NoError(t, h.Handle(t.Context(), r))
	return out.String()
}

func TestTextLines(t *testing.T) {
	const head = "2026-03-04T04:06:07.891Z INFO  "
	for _, c := range []struct {
		name string
		args []any
		want string
	}{
		{"none", nil, ""},
		{"plain values", []any{"a", "b", "n", 1, "f", 1.5, "ok", true, "d", time.Second}, " a=b n=1 f=1.5 ok=true d=1s"},
		{"unsigned, infinite", []any{"u", uint64(math.MaxUint64), "f", math.Inf(1)}, " u=18446744073709551615 f=+Inf"},
		{"a time", []any{"t", at}, " t=2026-03-04T05:06:07.891+01:00"},
		{"an error", []any{"err", errors.New("no such file")}, ` err="no such file"`},
		{"nil", []any{"err", nil}, " err=<nil>"},
		{"an error that panics", []any{"err", (*nilPanics)(nil)}, ` err="!PANIC: runtime error: invalid memory address or nil pointer dereference"`},
		{"empty", []any{"a", ""}, ` a=""`},
		{"spaces", []any{"a", "b c"}, ` a="b c"`},
		{"what looks like a field", []any{"a", "b=c"}, ` a="b=c"`},
		{"quotes", []any{"a", `say "x"`}, ` a="say \"x\""`},
		{"a line break", []any{"a", "b\n2026 ERROR forged"}, ` a="b\n2026 ERROR forged"`},
		{"an escape sequence", []any{"a", "\x1b[2J"}, ` a="\x1b[2J"`},
		{"not UTF-8", []any{"a", "\xff"}, ` a="\xff"`},
		{"UTF-8", []any{"a", "Ünïcödé"}, " a=Ünïcödé"},
		{"a wide space", []any{"a", "b\u00a0c"}, ` a="b\u00a0c"`},
		{"a bad key", []any{"a b", 1}, ` "a b"=1`},
		{"a group", []any{slog.Group("g", "a", 1, slog.Group("h", "b", 2))}, " g.a=1 g.h.b=2"},
		{"an empty group", []any{slog.Group("g")}, ""},
		{"a group without a name", []any{slog.Group("", "a", 1)}, " a=1"},
		{"a secret", []any{"password", secret("x")}, " password=***"},
		{"a text marshaler", []any{"ip", netip.MustParseAddr("::1")}, " ip=::1"},
		{"bytes", []any{"b", []byte("xyz")}, " b=xyz"},
		{"a struct", []any{"s", struct{ A, B int }{1, 2}}, ` s="{A:1 B:2}"`},
		{"a missing value", []any{"a"}, " !BADKEY=a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, head+"message text"+c.want+"\n", line(t, false, slog.LevelInfo, "message text", nil, c.args...))
		})
	}
	require.Equal(t, head+"\"two\\nlines\"\n", line(t, false, slog.LevelInfo, "two\nlines", nil))
	require.Contains(t, line(t, false, slog.LevelError+2, "m", nil), " ERROR+2 m")

	got := line(t, false, slog.LevelInfo, "m", func(h slog.Handler) slog.Handler {
		return h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("b", 2)}).WithGroup("h")
	}, "c", 3)
	require.Equal(t, head+"m a=1 g.b=2 g.h.c=3\n", got)
}

func TestHandlersMadeFromOneDoNotShareAttributes(t *testing.T) {
	var out bytes.Buffer
	base := slog.New(newTextHandler(&out, slog.LevelInfo, false)).With("a", 1)
	one, two := base.With("b", 2), base.With("c", 3)
	one.Info("x")
	two.Info("y")
	base.Info("z")
	for i, want := range []string{"x a=1 b=2", "y a=1 c=3", "z a=1"} {
		require.True(t, strings.HasSuffix(strings.Split(out.String(), "\n")[i], want), out.String())
	}
}

func TestColour(t *testing.T) {
	for level, colour := range map[slog.Level]string{
		slog.LevelDebug: cyan, slog.LevelInfo: green, slog.LevelWarn: yellow, slog.LevelError: red,
	} {
		got := line(t, true, level, "m", nil, "a", 1)
		require.Contains(t, got, colour+level.String())
		plain := got
		for _, code := range []string{reset, bold, faint, colour} {
			plain = strings.ReplaceAll(plain, code, "")
		}
		require.Contains(t, plain, "05:06:07.891 ", "the time is local and short")
		require.Contains(t, plain, " m a=1\n")
		require.NotContains(t, plain, "\x1b")
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	require.False(t, onTerminal(f), "a file is no terminal")
	require.NoError(t, f.Close())
	require.False(t, onTerminal(&bytes.Buffer{}))
}

// parseLine is the reader's side of the format; groups become maps.
func parseLine(t *testing.T, line string) map[string]any {
	t.Helper()
	out := map[string]any{}
	head, rest, _ := strings.Cut(line, " ")
	if _, err := time.Parse(timeLong, head); err == nil {
		out[slog.TimeKey] = head
		line = rest
	}
	level, rest, ok := strings.Cut(line, " ")
	require.True(t, ok, line)
	out[slog.LevelKey] = level
	rest = strings.TrimLeft(rest, " ")
	msg, rest, _ := strings.Cut(rest, " ")
	out[slog.MessageKey] = msg
	for rest != "" {
		var key, value string
		key, rest, ok = strings.Cut(rest, "=")
		require.True(t, ok, line)
		if q, err := strconv.QuotedPrefix(rest); err == nil {
			value, err = strconv.Unquote(q)
			require.NoError(t, err)
			rest = strings.TrimPrefix(rest[len(q):], " ")
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		at := out
		parts := strings.Split(key, ".")
		for _, p := range parts[:len(parts)-1] {
			sub, ok := at[p].(map[string]any)
			if !ok {
				sub = map[string]any{}
				at[p] = sub
			}
			at = sub
		}
		at[parts[len(parts)-1]] = value
	}
	return out
}

func TestTextHandlerKeepsSlogsRules(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return newTextHandler(&out, slog.LevelInfo, false)
	}, func(t *testing.T) map[string]any {
		return parseLine(t, strings.TrimSuffix(out.String(), "\n"))
	})
}

// Whatever a value holds, a record is one line and the value reads back.
func TestTextValuesCannotBreakOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := string(rapid.SliceOf(rapid.Byte()).Draw(rt, "value"))
		if rapid.Bool().Draw(rt, "text") {
			value = rapid.String().Draw(rt, "string")
		}
		got := line(t, false, slog.LevelInfo, "m", nil, "a", value, "z", "end")
		require.Equal(rt, 1, strings.Count(got, "\n"))
		fields := parseLine(t, strings.TrimSuffix(got, "\n"))
		require.Equal(rt, value, fields["a"])
		require.Equal(rt, "end", fields["z"])
		require.Len(rt, fields, 5)
	})
}

func TestLinesOfManyGoroutinesStayWhole(t *testing.T) {
	var out bytes.Buffer // guarded by the handler: one Write at a time
	l := slog.New(newTextHandler(&out, slog.LevelInfo, false))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.With("a", 1).Info("m", "b", strings.Repeat("x", 50))
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 800)
	for _, l := range lines {
		require.True(t, strings.HasSuffix(l, "m a=1 b="+strings.Repeat("x", 50)), l)
	}
}

func TestNilLoggersDiscard(t *testing.T) {
	require.NotPanics(t, func() {
		Component(nil, "x").Error("nobody sees it")
		OrDiscard(nil).Error("nobody sees it")
	})
	l := slog.New(slog.DiscardHandler)
	require.Same(t, l, OrDiscard(l))
}

func BenchmarkText(b *testing.B) {
	l := slog.New(newTextHandler(discard{}, slog.LevelInfo, false)).With("component", "tsdb")
	b.ReportAllocs()
	for b.Loop() {
		l.Info("block written", "tenant", "default", "samples", 12345, "took", time.Second)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
