package api

import (
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"signalbox/tsdb"
)

const (
	defaultStats = 10
	maxStats     = 10000
)

type nameValue struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

type headStats struct {
	NumSeries     uint64 `json:"numSeries"`
	NumLabelPairs int    `json:"numLabelPairs"`
	ChunkCount    int64  `json:"chunkCount"`
	MinTime       int64  `json:"minTime"`
	MaxTime       int64  `json:"maxTime"`
}

type tsdbStatus struct {
	HeadStats                   headStats   `json:"headStats"`
	SeriesCountByMetricName     []nameValue `json:"seriesCountByMetricName"`
	LabelValueCountByLabelName  []nameValue `json:"labelValueCountByLabelName"`
	MemoryInBytesByLabelName    []nameValue `json:"memoryInBytesByLabelName"`
	SeriesCountByLabelValuePair []nameValue `json:"seriesCountByLabelValuePair"`
}

func nameValues(stats []tsdb.Stat) []nameValue {
	list := make([]nameValue, len(stats))
	for i, s := range stats {
		list[i] = nameValue{s.Name, s.Count}
	}
	return list
}

func (a *API) statusTSDB(w http.ResponseWriter, r *http.Request) {
	if a.opts.Inspector == nil {
		failure(w, http.StatusInternalServerError, errUnavailable, "this store has no statistics")
		return
	}
	limit := defaultStats
	if s := r.Form.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxStats {
			failure(w, http.StatusBadRequest, errBadData, "limit must be a number from 1 to "+strconv.Itoa(maxStats))
			return
		}
		limit = n
	}
	s, err := a.opts.Inspector.Stats(r.Context(), labels.MetricName, limit)
	if err != nil {
		storeFailure(w, err)
		return
	}
	success(w, tsdbStatus{
		HeadStats: headStats{
			NumSeries: s.Series, NumLabelPairs: s.LabelPairs, ChunkCount: s.Chunks, MinTime: s.MinTime, MaxTime: s.MaxTime,
		},
		SeriesCountByMetricName:     nameValues(s.SeriesByMetric),
		LabelValueCountByLabelName:  nameValues(s.ValuesByLabel),
		MemoryInBytesByLabelName:    nameValues(s.MemoryByLabel),
		SeriesCountByLabelValuePair: nameValues(s.SeriesByLabelValue),
	})
}

// blockMeta is the shape of a block's meta.json, as Prometheus answers it.
type blockMeta struct {
	ULID    string `json:"ulid"`
	MinTime int64  `json:"minTime"`
	MaxTime int64  `json:"maxTime"`
	Stats   struct {
		NumSamples    uint64 `json:"numSamples,omitempty"`
		NumSeries     uint64 `json:"numSeries,omitempty"`
		NumChunks     uint64 `json:"numChunks,omitempty"`
		NumTombstones uint64 `json:"numTombstones,omitempty"`
	} `json:"stats"`
	Compaction struct {
		Level   int      `json:"level"`
		Sources []string `json:"sources,omitempty"`
	} `json:"compaction"`
	Version int `json:"version"`
}

func (a *API) statusBlocks(w http.ResponseWriter, r *http.Request) {
	if a.opts.Inspector == nil {
		failure(w, http.StatusInternalServerError, errUnavailable, "this store has no list of blocks")
		return
	}
	blocks, err := a.opts.Inspector.Blocks(r.Context())
	if err != nil {
		storeFailure(w, err)
		return
	}
	list := make([]blockMeta, len(blocks))
	for i, b := range blocks {
		m := &list[i]
		m.ULID, m.MinTime, m.MaxTime, m.Version = b.ULID, b.MinTime, b.MaxTime, 1
		m.Stats.NumSamples, m.Stats.NumSeries, m.Stats.NumChunks, m.Stats.NumTombstones = b.Samples, b.Series, b.Chunks, b.Tombstones
		m.Compaction.Level, m.Compaction.Sources = b.Level, b.Sources
	}
	success(w, map[string]any{"blocks": list})
}

func (a *API) walReplay(w http.ResponseWriter, _ *http.Request) {
	s := a.opts.WALReplay()
	success(w, struct {
		Min     int `json:"min"`
		Max     int `json:"max"`
		Current int `json:"current"`
	}{s.Min, s.Max, s.Current})
}

// statusConfig shows our configuration: the library knows only Prometheus'.
func (a *API) statusConfig(w http.ResponseWriter, _ *http.Request) {
	success(w, map[string]string{"yaml": a.opts.ConfigYAML()})
}

func (a *API) activeQueries(w http.ResponseWriter, r *http.Request) {
	success(w, map[string]any{"queries": a.opts.Engine.Active(r.Context())})
}

func (a *API) slowQueries(w http.ResponseWriter, r *http.Request) {
	success(w, map[string]any{"queries": a.opts.Engine.Slow(r.Context())})
}

// cancelQuery stops a query; its own client is answered errorType "canceled".
func (a *API) cancelQuery(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !a.opts.Engine.Cancel(r.Context(), id) {
		failure(w, http.StatusNotFound, errNotFound, "no active query with id "+id)
		return
	}
	success(w, map[string]string{"id": id})
}
