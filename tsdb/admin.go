package tsdb

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// SetMetadata records the types, helps and units of metric families of the tenant
// of ctx, of each family the newest last, with one write to the journal. An
// Invalid error says that names were left out; everything else is recorded. With
// any other error nothing is.
func (db *DB) SetMetadata(ctx context.Context, families map[string][]metadata.Metadata) error {
	id, err := tenant.One(ctx)
	if err != nil {
		return err
	}
	if len(families) == 0 {
		return nil
	}
	if err := db.space.check(); err != nil {
		return err
	}
	t, err := db.tenant(id, true)
	if err != nil {
		return err
	}
	var news []metadataEntry
	var refused error
	for family, ms := range families {
		if family == "" || len(family) > maxMetaText {
			refused = fault.Refuse("invalid_metadata", "metadata of a metric name of %d bytes", len(family))
			continue
		}
		for _, m := range ms {
			if !t.metadata.known(family, m) {
				news = append(news, metadataEntry{family, m}.clone())
			}
		}
	}
	if err := t.metadata.add(news); err != nil {
		return fault.New(fault.Unavailable, "tenant %s: %w", id, err).WithRetryAfter(mendPause)
	}
	return refused
}

// Metadata returns the metadata of a metric family, or of all when metric is
// "", of the tenants of ctx. A family's newest entry comes first.
func (db *DB) Metadata(ctx context.Context, metric string) (map[string][]metadata.Metadata, error) {
	out := map[string][]metadata.Metadata{}
	for _, id := range tenant.All(ctx) {
		t, err := db.tenant(id, false)
		if err != nil {
			return nil, err
		}
		if t != nil {
			t.metadata.snapshot(metric, out)
		}
	}
	return out, nil
}

// Delete marks the samples of matching series between mint and maxt (Unix
// milliseconds, both included) as deleted. CleanTombstones frees their space.
func (db *DB) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	return db.each(ctx, func(t *tenantStore, s *openStore) error {
		if err := t.writable(); err != nil {
			return err
		}
		if err := s.Delete(ctx, mint, maxt, ms...); err != nil {
			return err
		}
		return s.logged(t)
	})
}

// CleanTombstones rewrites blocks without what was deleted.
func (db *DB) CleanTombstones(ctx context.Context) error {
	return db.each(ctx, func(_ *tenantStore, s *openStore) error { return s.CleanTombstones() })
}

// each calls f with the store of each tenant of ctx that has data.
func (db *DB) each(ctx context.Context, f func(*tenantStore, *openStore) error) error {
	for _, id := range tenant.All(ctx) {
		t, err := db.tenant(id, false)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		s, err := t.acquire()
		if err != nil {
			return err
		}
		err = f(t, s)
		t.release()
		if err != nil {
			return fmt.Errorf("tenant %s: %w", id, err)
		}
	}
	return nil
}

// Snapshot writes a copy of the data of the tenant of ctx, hard-linked where
// the files are immutable, and returns its name: a folder below
// tenants/<tenant>/snapshots. What is only in memory is included unless skipHead.
func (db *DB) Snapshot(ctx context.Context, skipHead bool) (string, error) {
	id, err := tenant.One(ctx)
	if err != nil {
		return "", err
	}
	t, err := db.tenant(id, false)
	if err != nil {
		return "", err
	}
	if t == nil {
		return "", fault.New(fault.Invalid, "tenant %s has no data", id)
	}
	s, err := t.acquire()
	if err != nil {
		return "", err
	}
	defer t.release()
	var salt [8]byte
	_, _ = rand.Read(salt[:]) // never fails
	name := time.Now().UTC().Format("20060102T150405Z0700") + "-" + hex.EncodeToString(salt[:])
	dir := filepath.Join(t.dir, "snapshots", name)
	if err := db.fs.MkdirAll(dir); err != nil {
		return "", fmt.Errorf("snapshot: %w", err)
	}
	if err := s.Snapshot(dir, !skipHead && s.Head().NumSeries() > 0); err != nil {
		return "", errors.Join(fmt.Errorf("snapshot: %w", err), db.fs.RemoveAll(dir))
	}
	return name, nil
}

// Stat is a name with a number.
type Stat struct {
	Name  string
	Count uint64
}

// Stats describes what is in memory, for finding what grows.
type Stats struct {
	Series             uint64
	LabelPairs         int
	Chunks             int64
	MinTime, MaxTime   int64 // Unix milliseconds; math.MaxInt64 and math.MinInt64 when empty
	SeriesByMetric     []Stat
	ValuesByLabel      []Stat
	MemoryByLabel      []Stat // bytes
	SeriesByLabelValue []Stat
}

// Stats counts the active series of the tenants of ctx; each list has the limit
// largest. label is the name whose values SeriesByMetric counts, normally
// __name__.
func (db *DB) Stats(ctx context.Context, label string, limit int) (Stats, error) {
	out := Stats{MinTime: math.MaxInt64, MaxTime: math.MinInt64}
	err := db.each(ctx, func(_ *tenantStore, s *openStore) error {
		st := s.Head().Stats(label, limit)
		out.MinTime, out.MaxTime = min(out.MinTime, st.MinTime), max(out.MaxTime, st.MaxTime)
		out.Series += st.NumSeries
		out.LabelPairs += st.IndexPostingStats.NumLabelPairs
		out.Chunks += int64(gaugeOf(s.reg, "prometheus_tsdb_head_chunks"))
		ip := st.IndexPostingStats
		for _, l := range ip.CardinalityMetricsStats {
			out.SeriesByMetric = addStat(out.SeriesByMetric, l.Name, l.Count)
		}
		for _, l := range ip.CardinalityLabelStats {
			out.ValuesByLabel = addStat(out.ValuesByLabel, l.Name, l.Count)
		}
		for _, l := range ip.LabelValueStats {
			out.MemoryByLabel = addStat(out.MemoryByLabel, l.Name, l.Count)
		}
		for _, l := range ip.LabelValuePairsStats {
			out.SeriesByLabelValue = addStat(out.SeriesByLabelValue, l.Name, l.Count)
		}
		return nil
	})
	for _, l := range []*[]Stat{&out.SeriesByMetric, &out.ValuesByLabel, &out.MemoryByLabel, &out.SeriesByLabelValue} {
		*l = topStats(*l, limit)
	}
	return out, err
}

func addStat(ss []Stat, name string, n uint64) []Stat {
	for i := range ss {
		if ss[i].Name == name {
			ss[i].Count += n
			return ss
		}
	}
	return append(ss, Stat{name, n})
}

func topStats(ss []Stat, limit int) []Stat {
	slices.SortStableFunc(ss, func(a, b Stat) int {
		return cmp.Compare(b.Count, a.Count)
	})
	return ss[:min(len(ss), limit)]
}

// Block describes one immutable block on disk.
type Block struct {
	ULID             string
	MinTime, MaxTime int64 // Unix milliseconds, MaxTime excluded
	Series, Samples  uint64
	Chunks           uint64
	Tombstones       uint64
	Level            int
	Sources          []string
}

// Blocks lists the blocks of the tenants of ctx, the oldest first.
func (db *DB) Blocks(ctx context.Context) ([]Block, error) {
	var out []Block
	err := db.each(ctx, func(_ *tenantStore, s *openStore) error {
		for _, m := range s.BlockMetas() {
			b := Block{
				ULID: m.ULID.String(), MinTime: m.MinTime, MaxTime: m.MaxTime,
				Series: m.Stats.NumSeries, Samples: m.Stats.NumSamples, Chunks: m.Stats.NumChunks, Tombstones: m.Stats.NumTombstones,
				Level: m.Compaction.Level,
			}
			for _, src := range m.Compaction.Sources {
				b.Sources = append(b.Sources, src.String())
			}
			out = append(out, b)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Block) int { return cmp.Compare(a.MinTime, b.MinTime) })
	return out, err
}
