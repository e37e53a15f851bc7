package remotewrite

import (
	"sync"
	"time"
)

// repeats keeps a failing store from filling the log: a sender repeats a failed
// request many times a second.
type repeats struct {
	mu struct {
		sync.Mutex
		last time.Time
		n    int
	}
}

// due counts one occurrence and reports, at most once a minute, how many there
// were since the last report.
func (r *repeats) due(now time.Time) (n int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.n++
	if !r.mu.last.IsZero() && now.Sub(r.mu.last) < time.Minute {
		return 0, false
	}
	n = r.mu.n
	r.mu.last, r.mu.n = now, 0
	return n, true
}
