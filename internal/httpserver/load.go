package httpserver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/internal/fault"
)

// slots bounds how many requests are worked on at once.
type slots struct {
	max  int64
	used atomic.Int64
}

func (s *slots) take() bool {
	if s.used.Add(1) > s.max {
		s.used.Add(-1)
		return false
	}
	return true
}

func (s *slots) add()       { s.used.Add(1) }
func (s *slots) free()      { s.used.Add(-1) }
func (s *slots) full() bool { return s.used.Load() >= s.max }

// errBusy is the answer to one request too many. Senders come back by it.
var errBusy = fault.New(fault.Unavailable, "the server works on as many requests as it may (http.max_concurrent_requests)").
	WithReason("busy").WithRetryAfter(time.Second)

// budget bounds the bytes of request bodies in memory.
type budget struct {
	max  int64
	n    atomic.Int64
	used prometheus.Gauge
}

func (b *budget) take(n int64) bool {
	if b.n.Add(n) > b.max {
		b.n.Add(-n)
		return false
	}
	b.used.Add(float64(n))
	return true
}

func (b *budget) free(n int64) {
	b.n.Add(-n)
	b.used.Sub(float64(n))
}

// tracker counts requests so that Shutdown can wait for the last one.
type tracker struct {
	mu struct {
		sync.Mutex
		n    int
		idle chan struct{} // closed while n is 0
	}
}

func newTracker() *tracker {
	t := &tracker{}
	t.mu.idle = make(chan struct{})
	close(t.mu.idle)
	return t
}

func (t *tracker) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.n == 0 {
		t.mu.idle = make(chan struct{})
	}
	t.mu.n++
}

func (t *tracker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.n--
	if t.mu.n == 0 {
		close(t.mu.idle)
	}
}

func (t *tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.n
}

// wait returns how many requests are left when none is, or d has passed.
func (t *tracker) wait(d time.Duration) int {
	t.mu.Lock()
	idle := t.mu.idle
	t.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	return t.count()
}
