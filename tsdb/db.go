package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
	"signalbox/internal/vfs"
)

// Options is what the program hands in. Zero values work in tests.
type Options struct {
	Logger   *slog.Logger                   // nil: discard
	Registry prometheus.Registerer          // nil: a private one
	FS       vfs.FS                         // nil: the real one; Prometheus' TSDB itself always writes to the real disk
	Limits   func(tenant.ID) Limits         // nil: DefaultLimits for everybody
	OnOpen   func(tenant.ID, time.Duration) // nil: nothing; called after a tenant's store was opened and replayed
}

// DB is the metrics store of one data folder. Its methods may be called from
// any goroutine. It satisfies storage.AppendableV2,
// storage.SampleAndChunkQueryable and storage.ExemplarQueryable; all of them
// take the tenant from a context.
type DB struct {
	dir     string
	cfg     Config
	opts    Options
	log     *slog.Logger
	fs      vfs.FS
	metrics *metrics
	lock    io.Closer
	space   *spaceGuard

	stop chan struct{}
	wg   sync.WaitGroup
	gens atomic.Uint64 // openings of stores so far

	mu struct {
		sync.Mutex
		tenants map[tenant.ID]*tenantStore // only grows
		loaded  bool                       // all tenants of the folder are open
		closed  bool
	}
}

var (
	_ storage.AppendableV2            = (*DB)(nil)
	_ storage.SampleAndChunkQueryable = (*DB)(nil)
	_ storage.ExemplarQueryable       = (*DB)(nil)
)

const (
	tenantsDir = "tenants"
	lockFile   = "lock"
)

// Open locks dir and returns a DB that answers Unavailable until Load is done.
// It fails when another process holds the folder.
func Open(dir string, cfg Config, opts Options) (*DB, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.FS == nil {
		opts.FS = vfs.OS{}
	}
	if opts.Limits == nil {
		opts.Limits = func(tenant.ID) Limits { return DefaultLimits() }
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	db := &DB{
		dir: dir, cfg: cfg, opts: opts,
		log:  opts.Logger.With("component", "tsdb"),
		fs:   opts.FS,
		stop: make(chan struct{}),
	}
	db.mu.tenants = map[tenant.ID]*tenantStore{}
	if err := vfs.MkdirAllSync(db.fs, filepath.Join(dir, tenantsDir)); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if db.lock, err = db.fs.Lock(filepath.Join(dir, lockFile)); err != nil {
		return nil, fmt.Errorf("data folder %s (storage.path): %w", dir, err)
	}
	db.metrics = newMetrics(opts.Registry, db)
	db.space = newSpaceGuard(db.fs, dir, cfg.MinFreeBytes)
	db.wg.Go(db.mendLoop)
	return db, nil
}

// Load opens the store of every tenant in the folder and replays its log. It
// may take minutes after a crash with millions of series; the end of ctx or
// Close ends it early, after the tenant that it is at.
func (db *DB) Load(ctx context.Context) error {
	names, err := db.fs.List(filepath.Join(db.dir, tenantsDir))
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	for _, name := range names {
		id, err := tenant.Parse(name)
		if err != nil {
			db.log.Warn("ignoring a folder that is no tenant", "folder", name, "err", err)
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read the write-ahead logs: %w", err)
		}
		db.mu.Lock()
		t := newTenantStore(db, id)
		closed := db.mu.closed
		if !closed {
			db.mu.tenants[id] = t
		}
		db.mu.Unlock()
		if closed {
			return errClosed
		}
		if err := t.open(); err != nil {
			return err
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.mu.closed {
		return errClosed
	}
	db.mu.loaded = true
	return nil
}

// errLoading answers requests that come before Load is done.
var errLoading = fault.New(fault.Unavailable, "starting: the write-ahead log is being read").WithRetryAfter(2 * time.Second)

// tenant returns the store of id. When it does not exist, it is made if create
// is set and nil is returned otherwise.
func (db *DB) tenant(id tenant.ID, create bool) (*tenantStore, error) {
	db.mu.Lock()
	if db.mu.closed {
		db.mu.Unlock()
		return nil, errClosed
	}
	if !db.mu.loaded {
		db.mu.Unlock()
		return nil, errLoading
	}
	t := db.mu.tenants[id]
	if t == nil && create {
		if len(db.mu.tenants) >= db.cfg.MaxTenants && db.cfg.MaxTenants > 0 {
			db.mu.Unlock()
			return nil, fault.Refuse("tenant_limit", "tenant %s is new and there are %d already; raise storage.max_tenants", id, db.cfg.MaxTenants)
		}
		t = newTenantStore(db, id)
		db.mu.tenants[id] = t
	}
	db.mu.Unlock()
	if t == nil {
		return nil, nil
	}
	return t, t.open()
}

// nextGeneration numbers an opening of a store. The number is part of every
// series reference and no two stores share one, so a reference can never be
// taken for one of another opening, or of another tenant.
func (db *DB) nextGeneration() uint64 {
	for {
		if g := db.gens.Add(1); g&(1<<(64-genShift)-1) != 0 {
			return g
		}
	}
}

// all returns the stores that exist, in no order.
func (db *DB) all() []*tenantStore {
	db.mu.Lock()
	defer db.mu.Unlock()
	ts := make([]*tenantStore, 0, len(db.mu.tenants))
	for _, t := range db.mu.tenants {
		ts = append(ts, t)
	}
	return ts
}

// AppenderV2 returns an appender for the tenant of ctx. An error (unknown
// tenant characters, a full disk) is returned by its first Append.
func (db *DB) AppenderV2(ctx context.Context) storage.AppenderV2 {
	a, err := db.appender(ctx)
	if err != nil {
		return failedAppender{err}
	}
	return a
}

func (db *DB) appender(ctx context.Context) (storage.AppenderV2, error) {
	id, err := tenant.One(ctx)
	if err != nil {
		return nil, err
	}
	if err := db.space.check(); err != nil {
		return nil, err
	}
	t, err := db.tenant(id, true)
	if err != nil {
		return nil, err
	}
	return t.appender(ctx)
}

// ApplyLimits takes over changed limits (retention included) for all tenants.
func (db *DB) ApplyLimits() error {
	var errs []error
	for _, t := range db.all() {
		errs = append(errs, t.applyLimits())
	}
	return errors.Join(errs...)
}

// mendLoop reopens stores whose log could not be written, once it can again.
func (db *DB) mendLoop() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-tick.C:
		}
		if db.space.check() != nil {
			continue
		}
		for _, t := range db.all() {
			t.mend()
		}
	}
}

// Close closes every store and gives up the folder. Queriers and appenders must
// be closed before.
func (db *DB) Close() error {
	db.mu.Lock()
	was := db.mu.closed
	db.mu.closed = true
	db.mu.Unlock()
	if was {
		return nil
	}
	close(db.stop)
	db.wg.Wait()
	var errs []error
	for _, t := range db.all() {
		errs = append(errs, t.close())
	}
	if db.metrics != nil {
		db.metrics.unregister()
	}
	errs = append(errs, db.lock.Close())
	return errors.Join(errs...)
}
