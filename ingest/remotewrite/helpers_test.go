package remotewrite

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/tenant"
)

const typeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

func newBody(b []byte) io.Reader { return bytes.NewReader(b) }

// door is a handler mounted on a mux, in front of a recorder.
type door struct {
	*recorder
	h   *Handler
	mux *http.ServeMux
}

func newDoor(cfg Config) *door {
	d := &door{recorder: newRecorder(), mux: http.NewServeMux()}
	d.h = New(d, d, cfg, Options{})
	d.h.Register(d.mux)
	return d
}

// send posts an encoded message, snappy-compressed.
func (d *door) send(msg []byte, contentType string) *httptest.ResponseRecorder {
	return d.post(snappy.Encode(nil, msg), map[string]string{"Content-Type": contentType, "Content-Encoding": "snappy"})
}

func (d *door) post(body []byte, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", newBody(body))
	for k, v := range header {
		if k == tenant.Header {
			r = r.WithContext(tenant.NewContext(context.Background(), tenant.ID(v)))
			continue
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	return w
}

func (d *door) sendV1(t testing.TB, req *prompb.WriteRequest) *httptest.ResponseRecorder {
	t.Helper()
	b, err := req.Marshal()
	require.NoError(t, err)
	return d.send(b, "application/x-protobuf")
}

func (d *door) sendV2(t testing.TB, req *writev2.Request) *httptest.ResponseRecorder {
	t.Helper()
	b, err := req.Marshal()
	require.NoError(t, err)
	return d.send(b, typeV2)
}

func pairs(kv ...string) []prompb.Label {
	var ls []prompb.Label
	for i := 0; i < len(kv); i += 2 {
		ls = append(ls, prompb.Label{Name: kv[i], Value: kv[i+1]})
	}
	return ls
}

// written returns the three headers of version 2 as "samples/histograms/exemplars".
func written(w *httptest.ResponseRecorder) string {
	const p = "X-Prometheus-Remote-Write-"
	h := w.Header()
	return h.Get(p+"Samples-Written") + "/" + h.Get(p+"Histograms-Written") + "/" + h.Get(p+"Exemplars-Written")
}

// cacheOf lists what the handler remembers of a tenant, in its order.
func (h *Handler) cacheOf(id tenant.ID) []cached {
	var all []cached
	cur, prev := h.cache.generations()
	for _, g := range []*generation{prev, cur} {
		if t := g.tenant(id); t != nil {
			v := t.series.view()
			for i := range v.n {
				e := &v.chunks[i>>chunkBits][i&(chunkSize-1)]
				all = append(all, cached{e.key, storage.SeriesRef(e.ref.Load())})
			}
		}
	}
	return all
}

// counter returns the value of a counter.
func counter(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	require.NoError(t, c.Write(&m))
	return m.GetCounter().GetValue()
}

// refusedReasons returns the counter of refused records by reason.
func (h *Handler) refusedReasons(t testing.TB) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(h.metrics.refused)
	families, err := reg.Gather()
	require.NoError(t, err)
	reasons := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			reasons[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return reasons
}

func snappyOf(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	return snappy.Encode(nil, marshal(t, m))
}
