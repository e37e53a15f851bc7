package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// metricMetadata has its fields in the order Prometheus writes them.
type metricMetadata struct {
	Type model.MetricType `json:"type"`
	Help string           `json:"help"`
	Unit string           `json:"unit"`
}

// metadata answers from the store, not from scrape targets as the library
// does: most of our metrics are pushed.
func (a *API) metadata(w http.ResponseWriter, r *http.Request) {
	limit, perMetric := -1, -1
	for name, v := range map[string]*int{"limit": &limit, "limit_per_metric": &perMetric} {
		if s := r.Form.Get(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil {
				failure(w, http.StatusBadRequest, errBadData, name+" must be a number")
				return
			}
			*v = n
		}
	}
	var all map[string][]metadata.Metadata
	if a.opts.Metadata != nil {
		var err error
		if all, err = a.opts.Metadata.Metadata(r.Context(), r.Form.Get("metric")); err != nil {
			storeFailure(w, err)
			return
		}
	}
	names := slices.Sorted(maps.Keys(all))
	if limit > 0 && len(names) > limit {
		names = names[:limit] // sorted, so that the same request has the same answer
	}
	res := make(map[string][]metricMetadata, len(names))
	for _, name := range names {
		list := all[name]
		if perMetric > 0 && len(list) > perMetric {
			list = list[:perMetric]
		}
		out := make([]metricMetadata, len(list))
		for i, m := range list {
			out[i] = metricMetadata{Type: m.Type, Help: m.Help, Unit: m.Unit}
			if m.Type == "" {
				out[i].Type = model.MetricTypeUnknown
			}
		}
		res[name] = out
	}
	success(w, res)
}
