package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// RepeatInterval is how often a message that keeps coming is written.
const RepeatInterval = time.Minute

// maxRepeated bounds the messages that are watched at once; more of them are
// counted together, as one.
const maxRepeated = 256

// Repeats counts log messages that repeat. A message is written when it is first
// seen; those of the same level and text in the interval after that are counted,
// and at its end the last of them is written with `repeated` saying how many
// there were. Attributes make no difference, so messages must be constant.
type Repeats struct {
	interval time.Duration
	writes   sync.WaitGroup // timers that are writing
	mu       struct {
		sync.Mutex
		seen   map[repeatKey]*repeat
		closed bool
	}
}

type repeatKey struct {
	level slog.Level
	msg   string
}

// repeat is a message whose interval runs.
type repeat struct {
	timer *time.Timer
	count int // held back since the last that was written
	last  slog.Record
	to    slog.Handler // where last would have gone
}

// NewRepeats returns a logger like l that counts repeats, and what to Close at
// the end. An interval of 0 means RepeatInterval; a nil l discards.
func NewRepeats(l *slog.Logger, interval time.Duration) (*slog.Logger, *Repeats) {
	if interval <= 0 {
		interval = RepeatInterval
	}
	r := &Repeats{interval: interval}
	r.mu.seen = make(map[repeatKey]*repeat)
	return slog.New(&repeatHandler{r: r, inner: OrDiscard(l).Handler()}), r
}

// Close writes what is held back and waits for lines being written. The logger
// stays usable and writes every line from then on.
func (r *Repeats) Close() error {
	r.mu.Lock()
	r.mu.closed = true
	left := make([]*repeat, 0, len(r.mu.seen))
	for key, s := range r.mu.seen {
		s.timer.Stop()
		left = append(left, s)
		delete(r.mu.seen, key)
	}
	r.mu.Unlock()
	for _, s := range left {
		s.write(s.count)
	}
	r.writes.Wait()
	return nil
}

// hold reports whether a record is held back. The record is kept then.
func (r *Repeats) hold(rec slog.Record, to slog.Handler) bool {
	key := repeatKey{rec.Level, rec.Message}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return false
	}
	s := r.mu.seen[key]
	if s == nil && len(r.mu.seen) >= maxRepeated {
		key = repeatKey{}
		s = r.mu.seen[key]
	}
	if s == nil {
		s = &repeat{}
		r.mu.seen[key] = s
		s.timer = time.AfterFunc(r.interval, func() { r.expire(key, s) })
		return false
	}
	s.count++
	s.last, s.to = rec.Clone(), to
	return true
}

// expire ends an interval: a message that was held back is written and begins
// another one, a message that was not is forgotten.
func (r *Repeats) expire(key repeatKey, s *repeat) {
	r.mu.Lock()
	if r.mu.seen[key] != s {
		r.mu.Unlock()
		return // Close was faster and has it
	}
	held := *s
	if s.count == 0 {
		delete(r.mu.seen, key)
		r.mu.Unlock()
		return
	}
	s.count, s.last, s.to = 0, slog.Record{}, nil
	s.timer.Reset(r.interval)
	r.writes.Add(1)
	defer r.writes.Done()
	r.mu.Unlock() // no IO under the lock
	held.write(held.count)
}

func (s *repeat) write(count int) {
	if count == 0 {
		return
	}
	rec := s.last
	rec.AddAttrs(slog.Int("repeated", count))
	_ = s.to.Handle(context.Background(), rec) // a logger has nowhere to report to
}

// repeatHandler shows records to Repeats first.
type repeatHandler struct {
	r     *Repeats
	inner slog.Handler
}

func (h *repeatHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.inner.Enabled(ctx, l)
}

func (h *repeatHandler) Handle(ctx context.Context, rec slog.Record) error {
	if h.r.hold(rec, h.inner) {
		return nil
	}
	return h.inner.Handle(ctx, rec)
}

func (h *repeatHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &repeatHandler{r: h.r, inner: h.inner.WithAttrs(attrs)}
}

func (h *repeatHandler) WithGroup(name string) slog.Handler {
	return &repeatHandler{r: h.r, inner: h.inner.WithGroup(name)}
}
