package api

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"signalbox/tsdb"
)

// *tsdb.DB satisfies all of these. They are small so that a cluster, or a
// test, can stand in for a part.
var (
	_ Store          = (*tsdb.DB)(nil)
	_ MetadataSource = (*tsdb.DB)(nil)
	_ Admin          = (*tsdb.DB)(nil)
	_ Inspector      = (*tsdb.DB)(nil)
)

// Store is what every endpoint that reads series needs. Queriers must be lazy:
// the tenants are in the context that Select, LabelNames and LabelValues get
// (internal/tenant), and in the one that ExemplarQuerier gets. All methods are
// called concurrently.
type Store interface {
	storage.SampleAndChunkQueryable
	storage.ExemplarQueryable
}

// MetadataSource knows type, help and unit of metrics of the tenants in ctx.
type MetadataSource interface {
	// Metadata returns every different metadata of the metric, or of all metrics
	// when metric is empty, the newest first. The caller does not modify the map.
	Metadata(ctx context.Context, metric string) (map[string][]metadata.Metadata, error)
}

// Admin changes what is stored of the tenants in ctx. Times are Unix
// milliseconds, both ends included.
type Admin interface {
	// Delete hides the samples of the series that match all of ms.
	Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error
	// CleanTombstones removes from disk what Delete has hidden.
	CleanTombstones(ctx context.Context) error
	// Snapshot makes a copy of the blocks, and of the head unless skipHead, in a
	// new folder and returns that folder's name (not its path).
	Snapshot(ctx context.Context, skipHead bool) (name string, err error)
}

// Inspector tells what is stored of the tenants in ctx.
type Inspector interface {
	// Stats counts the head; series counts are grouped by the values of the
	// label, and each list has at most limit items, the largest first.
	Stats(ctx context.Context, label string, limit int) (tsdb.Stats, error)
	// Blocks lists the blocks on disk.
	Blocks(ctx context.Context) ([]tsdb.Block, error)
}
