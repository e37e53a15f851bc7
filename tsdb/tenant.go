package tsdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// tenantStore is one tenant's store. When a write to its log fails, what the
// log holds past that point is unknown, so the store refuses writes, serves
// reads, and is closed and opened anew as soon as the disk takes writes again.
type tenantStore struct {
	db       *DB
	id       tenant.ID
	dir      string
	series   *seriesLimiter
	metadata *metadataStore // set by the first open

	widestLabels widestLabels

	openMu sync.Mutex // held while the store is opened, mended or closed

	mu struct {
		sync.Mutex
		idle   sync.Cond  // signalled when users falls to 0
		head   *openStore // nil before the first open and while it is reopened
		failed error      // why writes are refused
		users  int        // queriers and appenders in use
		gated  bool       // new users are turned away so that the store can be closed
		closed bool
	}
}

// openStore is Prometheus' TSDB from one opening to its close.
type openStore struct {
	*promtsdb.DB
	gen  uint64
	reg  *prometheus.Registry
	wal  *logWatch
	sync *groupCommit // nil unless wal_sync is always

	births births
}

func newTenantStore(db *DB, id tenant.ID) *tenantStore {
	t := &tenantStore{
		db: db, id: id,
		dir:    filepath.Join(db.dir, tenantsDir, string(id)),
		series: newSeriesLimiter(id),
	}
	t.mu.idle.L = &t.mu
	return t
}

// metricsDir is the folder that Prometheus' TSDB owns.
func (t *tenantStore) metricsDir() string { return filepath.Join(t.dir, "metrics") }

func (t *tenantStore) limits() Limits { return t.db.opts.Limits(t.id) }

// open makes the store ready; it does nothing when it is.
func (t *tenantStore) open() error {
	t.mu.Lock()
	ready := t.mu.head != nil || t.mu.gated
	t.mu.Unlock()
	if ready {
		return nil
	}
	t.openMu.Lock()
	defer t.openMu.Unlock()
	t.mu.Lock()
	ready, closed := t.mu.head != nil, t.mu.closed
	t.mu.Unlock()
	if closed {
		return errClosed
	}
	if ready {
		return nil
	}
	return t.openLocked()
}

var errClosed = fault.New(fault.Unavailable, "the store is closed")

// openLocked opens Prometheus' TSDB. The caller holds openMu and has seen that
// no store is open.
func (t *tenantStore) openLocked() error {
	start := time.Now()
	if err := t.db.fs.MkdirAll(t.metricsDir()); err != nil {
		return fault.New(fault.Unavailable, "tenant %s: %w", t.id, err)
	}
	if t.metadata == nil {
		m, err := openMetadata(t.db.fs, filepath.Join(t.dir, "metadata.log"), t.db.cfg.WALSync == SyncAlways)
		if err != nil {
			return fault.New(fault.Unavailable, "tenant %s: %w", t.id, err)
		}
		t.metadata = m
	}
	gen := t.db.nextGeneration()
	s, err := t.openHealthy(gen)
	if err != nil {
		return err
	}
	if t.db.cfg.WALSync == SyncAlways {
		// The names of the folders must survive a power cut before anything in them is promised.
		for _, d := range []string{t.metricsDir(), t.dir, filepath.Dir(t.dir), t.db.dir} {
			if err := t.db.fs.SyncPath(d); err != nil {
				return errors.Join(fault.New(fault.Unavailable, "open store of tenant %s: %w", t.id, err), s.close())
			}
		}
	}
	t.series.enforce(t.limits)
	s.wal.start()
	if t.db.cfg.WALSync == SyncAlways {
		s.sync = newGroupCommit(t.db.fs, t.metricsDir())
	}
	t.mu.Lock()
	t.mu.head, t.mu.failed, t.mu.gated = s, nil, false
	t.mu.Unlock()
	// A reload that came meanwhile passed this store over.
	if err := t.applyLimits(); err != nil {
		t.db.log.Warn("limits of a store that was just opened", "tenant", t.id, "err", err)
	}
	took := time.Since(start)
	t.db.log.Info("store opened", "tenant", t.id, "series", s.Head().NumSeries(), "blocks", len(s.Blocks()), "took", took.Round(time.Millisecond))
	if t.db.opts.OnOpen != nil {
		t.db.opts.OnOpen(t.id, took)
	}
	return nil
}

// openTries bounds how often a store with a damaged log is opened.
const openTries = 4

// openHealthy opens Prometheus' TSDB, and again when it found damage in its
// log: it repairs the log of in-order samples, but leaves that of late samples
// unread in the same opening, and acknowledged samples would be missing.
func (t *tenantStore) openHealthy(gen uint64) (*openStore, error) {
	for try := 1; ; try++ {
		reg := prometheus.NewRegistry()
		watch := &logWatch{Registerer: reg}
		t.series.reset()
		pdb, err := promtsdb.Open(t.metricsDir(), t.db.log.With("tenant", t.id), watch, t.options(), promtsdb.NewDBStats())
		if err != nil {
			return nil, fault.New(fault.Unavailable, "open store of tenant %s: %w", t.id, err)
		}
		s := &openStore{DB: pdb, gen: gen, reg: reg, wal: watch}
		if counterOf(reg, "prometheus_tsdb_wal_corruptions_total") == 0 || try == openTries {
			return s, nil
		}
		t.db.metrics.logRepairs.WithLabelValues(string(t.id)).Inc()
		t.db.log.Warn("the write-ahead log had a damaged end, as a crash leaves it; it was cut there and is read again", "tenant", t.id)
		if err := s.close(); err != nil {
			return nil, fault.New(fault.Unavailable, "reopen store of tenant %s: %w", t.id, err)
		}
	}
}

// maxBlock is the longest block that compaction makes, as Prometheus has it.
const maxBlock = 31 * 24 * time.Hour

func (t *tenantStore) options() *promtsdb.Options {
	cfg, lim := t.db.cfg, t.limits()
	o := promtsdb.DefaultOptions()
	o.NoLockfile = true // DB holds one for the whole folder
	o.WALCompression = compression.Snappy
	// A quarter of the default: the stripes are for locks, and each tenant has its own.
	o.StripeSize = promtsdb.DefaultStripeSize / 4
	o.RetentionDuration = lim.Retention.Milliseconds()
	o.MaxBytes = lim.RetentionBytes
	o.MaxBlockDuration = maxBlock.Milliseconds()
	if lim.Retention > 0 {
		o.MaxBlockDuration = max(min(lim.Retention/10, maxBlock).Milliseconds(), o.MinBlockDuration)
	}
	o.OutOfOrderTimeWindow = cfg.OutOfOrderWindow.Milliseconds()
	o.EnableExemplarStorage = cfg.MaxExemplars > 0
	o.MaxExemplars = cfg.MaxExemplars
	o.EnableSTAsZeroSample = cfg.StartTimeZeroSamples
	o.SeriesLifecycleCallback = t.series
	return o
}

// applyLimits hands changed retention to the running store. One that is not
// open takes the limits when it opens.
func (t *tenantStore) applyLimits() error {
	s, err := t.acquire()
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer t.release()
	lim := t.limits()
	return s.ApplyConfig(&promconfig.Config{StorageConfig: promconfig.StorageConfig{
		TSDBConfig: &promconfig.TSDBConfig{
			OutOfOrderTimeWindow: t.db.cfg.OutOfOrderWindow.Milliseconds(),
			Retention: &promconfig.TSDBRetentionConfig{
				Time: model.Duration(lim.Retention), Size: units.Base2Bytes(lim.RetentionBytes),
			},
		},
		ExemplarsConfig: &promconfig.ExemplarsConfig{MaxExemplars: t.db.cfg.MaxExemplars},
	}})
}

// acquire returns the open store and keeps it open until release.
func (t *tenantStore) acquire() (*openStore, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closed {
		return nil, errClosed
	}
	if t.mu.gated || t.mu.head == nil {
		return nil, fault.New(fault.Unavailable, "tenant %s: the store is being reopened after a failed write: %w", t.id, t.mu.failed).WithRetryAfter(mendPause)
	}
	t.mu.users++
	return t.mu.head, nil
}

func (t *tenantStore) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.users--
	if t.mu.users == 0 {
		t.mu.idle.Broadcast()
	}
}

// mendPause is what senders are told to wait while a store is mended.
const mendPause = 2 * time.Second

// fail takes the store out of use for writers.
func (t *tenantStore) fail(err error) error {
	t.mu.Lock()
	first := t.mu.failed == nil
	if first {
		t.mu.failed = err
	}
	t.mu.Unlock()
	if first {
		t.db.metrics.logFailures.WithLabelValues(string(t.id)).Inc()
		t.db.log.Error("the write-ahead log cannot be written; writes are refused until it can", "tenant", t.id, "err", err)
	}
	return fault.New(fault.Unavailable, "tenant %s: write-ahead log: %w", t.id, err).WithRetryAfter(mendPause)
}

// writable returns why writes are refused, or nil.
func (t *tenantStore) writable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.failed != nil {
		return fault.New(fault.Unavailable, "tenant %s: the write-ahead log cannot be written: %w", t.id, t.mu.failed).WithRetryAfter(mendPause)
	}
	return nil
}

func (t *tenantStore) appender(ctx context.Context) (storage.AppenderV2, error) {
	if err := t.writable(); err != nil {
		return nil, err
	}
	s, err := t.acquire()
	if err != nil {
		return nil, err
	}
	return &appender{t: t, s: s, ctx: ctx, app: s.AppenderV2(ctx)}, nil
}

// mendWait bounds how long reads in progress may hold up a mending.
const mendWait = 10 * time.Second

// mend reopens a failed store once the disk takes writes. Reads in progress
// finish first; new ones are turned away meanwhile, because the old store's
// files are about to be unmapped.
func (t *tenantStore) mend() {
	t.openMu.Lock()
	defer t.openMu.Unlock()
	t.mu.Lock()
	failed := t.mu.failed != nil && !t.mu.closed
	t.mu.Unlock()
	// The old store serves reads for as long as a new one could not be opened;
	// and closing it writes, which the library does not survive on a full disk.
	if !failed || t.probe() != nil {
		return
	}
	s, ok := t.takeOut()
	if !ok {
		return // busy; at the next tick
	}
	if s != nil {
		resync := s.sync.behind()
		if err := s.close(); err != nil {
			t.db.log.Warn("closing a failed store", "tenant", t.id, "err", err)
		}
		if err := rewriteSegments(t.db.fs, resync); err != nil {
			t.db.log.Error("the log of a failed store cannot be made safe", "tenant", t.id, "err", err)
			return
		}
	}
	if err := t.openLocked(); err != nil {
		t.db.log.Error("reopening a failed store", "tenant", t.id, "err", err)
		return
	}
	t.db.log.Info("store mended: writes are accepted again", "tenant", t.id)
}

// takeOut turns new users away, waits for those there are, and returns the
// store, nil when an earlier mending took it. ok is false when they took too long.
func (t *tenantStore) takeOut() (s *openStore, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.gated = true
	late := false
	timer := time.AfterFunc(mendWait, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		late = true
		t.mu.idle.Broadcast()
	})
	defer timer.Stop()
	for t.mu.users > 0 && !late {
		t.mu.idle.Wait()
	}
	if t.mu.users > 0 {
		t.mu.gated = false
		return nil, false
	}
	s = t.mu.head
	t.mu.head = nil
	return s, true
}

// probe tells whether the disk takes writes, by writing through package os as
// the library does.
func (t *tenantStore) probe() error {
	name := filepath.Join(t.dir, "probe.tmp")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 1<<20))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}

func (s *openStore) close() error {
	err := s.DB.Close()
	if s.sync != nil {
		err = errors.Join(err, s.sync.close())
	}
	return err
}

// close closes the store for good.
func (t *tenantStore) close() error {
	t.openMu.Lock()
	defer t.openMu.Unlock()
	t.mu.Lock()
	t.mu.closed = true
	for t.mu.users > 0 {
		t.mu.idle.Wait()
	}
	s := t.mu.head
	t.mu.head = nil
	t.mu.Unlock()
	var errs []error
	if s != nil {
		errs = append(errs, s.close())
	}
	if t.metadata != nil {
		errs = append(errs, t.metadata.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store of tenant %s: %w", t.id, err)
	}
	return nil
}
