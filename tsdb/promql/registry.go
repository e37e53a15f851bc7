package promql

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"signalbox/internal/tenant"
)

// maxKeptText bounds the query text in the lists, in bytes.
const maxKeptText = 4096

// slowMaxAge is when a slow query leaves the list.
const slowMaxAge = 24 * time.Hour

// QueryInfo says what was asked.
type QueryInfo struct {
	// ID is unique for the life of the process; Cancel takes it.
	ID string `json:"id"`
	// Tenants the query reads.
	Tenants []string `json:"tenants"`
	// Query is the text, cut at 4 KiB.
	Query string `json:"query"`
	// Start and End of the evaluation; equal for an instant query.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// StepSeconds is 0 for an instant query.
	StepSeconds float64 `json:"stepSeconds"`
	// StartedAt is when the query arrived.
	StartedAt time.Time `json:"startedAt"`
}

// ActiveQuery is a query that runs or waits.
type ActiveQuery struct {
	QueryInfo
	// State is "queued" or "running".
	State string `json:"state"`
	// AgeSeconds since StartedAt.
	AgeSeconds float64 `json:"ageSeconds"`
	// Series the selectors have found so far, and their bytes as query.max_bytes counts them.
	Series int64 `json:"series"`
	Bytes  int64 `json:"bytes"`
}

// SlowQuery is a query that has ended.
type SlowQuery struct {
	QueryInfo
	// DurationSeconds from arrival to result, of which QueueSeconds waiting.
	DurationSeconds float64 `json:"durationSeconds"`
	QueueSeconds    float64 `json:"queueSeconds"`
	// Series and Bytes as in ActiveQuery.
	Series int64 `json:"series"`
	Bytes  int64 `json:"bytes"`
	// SamplesRead from storage, and the most samples held at once.
	SamplesRead int64 `json:"samplesRead"`
	PeakSamples int64 `json:"peakSamples"`
	// Error is empty for a query that succeeded.
	Error string `json:"error,omitempty"`
}

// entry is an active query in the registry.
type entry struct {
	info    QueryInfo
	b       *budget
	cancel  context.CancelCauseFunc
	running bool // guarded by the registry
}

// registry lists active queries and remembers slow ones. Lists show a tenant
// only queries that read nobody else's data.
type registry struct {
	mu struct {
		sync.Mutex
		lastID uint64
		active map[string]*entry
		slow   []SlowQuery // the slowest first
	}
	slowSize int
}

func newRegistry(slowSize int) *registry {
	r := &registry{slowSize: slowSize}
	r.mu.active = map[string]*entry{}
	return r
}

func (r *registry) add(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.lastID++
	e.info.ID = strconv.FormatUint(r.mu.lastID, 10)
	r.mu.active[e.info.ID] = e
}

func (r *registry) setRunning(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.running = true
}

func (r *registry) remove(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.active, e.info.ID)
}

func (r *registry) addSlow(q SlowQuery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropOldLocked(q.StartedAt)
	i, _ := slices.BinarySearchFunc(r.mu.slow, q.DurationSeconds, func(have SlowQuery, d float64) int {
		if have.DurationSeconds >= d {
			return -1
		}
		return 1
	})
	if i >= r.slowSize {
		return
	}
	r.mu.slow = slices.Insert(r.mu.slow, i, q)
	if len(r.mu.slow) > r.slowSize {
		r.mu.slow = slices.Delete(r.mu.slow, r.slowSize, len(r.mu.slow))
	}
}

func (r *registry) dropOldLocked(now time.Time) {
	r.mu.slow = slices.DeleteFunc(r.mu.slow, func(q SlowQuery) bool {
		return now.Sub(q.StartedAt) > slowMaxAge
	})
}

func (r *registry) listActive(ctx context.Context, now time.Time) []ActiveQuery {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]ActiveQuery, 0, len(r.mu.active))
	for _, e := range r.mu.active {
		if !visible(ctx, e.info.Tenants) {
			continue
		}
		q := ActiveQuery{
			QueryInfo:  e.info,
			State:      "queued",
			AgeSeconds: now.Sub(e.info.StartedAt).Seconds(),
			Series:     e.b.series.Load(),
			Bytes:      e.b.bytes.Load(),
		}
		if e.running {
			q.State = "running"
		}
		list = append(list, q)
	}
	slices.SortFunc(list, func(a, b ActiveQuery) int {
		if c := a.StartedAt.Compare(b.StartedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

func (r *registry) listSlow(ctx context.Context, now time.Time) []SlowQuery {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropOldLocked(now)
	list := make([]SlowQuery, 0, len(r.mu.slow))
	for _, q := range r.mu.slow {
		if visible(ctx, q.Tenants) {
			list = append(list, q)
		}
	}
	return list
}

func (r *registry) cancel(ctx context.Context, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.mu.active[id]
	if e == nil || !visible(ctx, e.info.Tenants) {
		return false
	}
	e.cancel(errCanceledByID)
	return true
}

func tenantsOf(ctx context.Context) []string {
	ids := tenant.All(ctx)
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return names
}

// visible says whether all of the owners are tenants of ctx.
func visible(ctx context.Context, owners []string) bool {
	for _, o := range owners {
		if !slices.Contains(tenant.All(ctx), tenant.ID(o)) {
			return false
		}
	}
	return true
}

func keptText(s string) string {
	if len(s) <= maxKeptText {
		return s
	}
	return strings.ToValidUTF8(s[:maxKeptText], "")
}
