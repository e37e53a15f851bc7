package otlp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

// seeds are metrics of every kind.
func seeds() []pmetric.Metrics {
	md := one(sum("c", "1", true, cumulative, 0, 1, 5), "service.name", "s", "host.name", "h")
	sum("d", "By", true, delta, 0, 1, 5)(another(md))
	gauge("g", 1, 2)(another(md))
	explicitHistogram("h", cumulative, 0, 1, []float64{1, 2}, 1, 2, 3)(another(md))
	explicitHistogram("hd", delta, 0, 1, []float64{1, 2}, 1, 2, 3)(another(md))
	exponentialHistogram("e", cumulative, 0, 1, 9, -3, 1, 0, 0, 0, 0, 2)(another(md))
	exponentialHistogram("ed", delta, 0, 1, 2, -3, 1, 2)(another(md))
	m := another(md)
	m.SetName("s")
	p := m.SetEmptySummary().DataPoints().AppendEmpty()
	p.SetTimestamp(at(1))
	p.QuantileValues().AppendEmpty().SetQuantile(0.5)
	e := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).Exemplars().AppendEmpty()
	e.SetDoubleValue(1)
	e.SetTimestamp(at(1))
	out := []pmetric.Metrics{md}
	for _, f := range []func(pmetric.Metric){
		gauge("", 1), gauge("x\xff", 1), exponentialHistogram("e", cumulative, 0, 1, -9, 0, 1),
		explicitHistogram("h", 0, 0, 1, []float64{1}, 1), sum("c", "", true, delta, 5, 1, 1),
	} {
		out = append(out, one(f))
	}
	return out
}

// fuzzRigs are doors with the settings that lead to other code.
func fuzzRigs(f *testing.F) []*rig {
	return []*rig{
		newRig(f),
		newRig(f, func(c *Config) {
			c.ConvertHistogramsToNHCB, c.PromoteAllResourceAttributes, c.PromoteScopeMetadata = true, true, true
			c.TranslationStrategy = "NoTranslation"
		}),
		newRig(f, func(c *Config) {
			c.Delta, c.KeepIdentifyingResourceAttributes = DeltaReject, true
			c.TranslationStrategy = "UnderscoreEscapingWithoutSuffixes"
		}),
	}
}

// checkAnswer: any body is answered with 200 or 400 in its own media type, the
// counts add up, and the checks leave nothing for the translation to refuse.
func checkAnswer(t *testing.T, r *rig, media string, body []byte) {
	w := r.post(media, "", body)
	require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code, w.Body.String())
	require.Equal(t, media, w.Header().Get("Content-Type"))
	switch {
	case media == mediaJSON:
		require.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
	case w.Code == http.StatusOK:
		require.NoError(t, pmetricotlp.NewExportResponse().UnmarshalProto(w.Body.Bytes()))
	default:
		require.NoError(t, proto.Unmarshal(w.Body.Bytes(), new(status.Status)))
	}
	require.Zero(t, testutil.ToFloat64(r.m.refused.WithLabelValues("untranslatable")), "%q", body)
	require.GreaterOrEqual(t, r.deltas.used.Load(), int64(0))
}

func FuzzProto(f *testing.F) {
	for _, md := range seeds() {
		f.Add(marshal(f, md))
	}
	f.Add([]byte{})
	f.Add(nestedProto(500, attributePaths["resource"]...))
	rigs := fuzzRigs(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, r := range rigs {
			checkAnswer(t, r, mediaProto, body)
		}
		_ = guardJSON(body)
	})
}

func FuzzJSON(f *testing.F) {
	for _, md := range seeds() {
		body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalJSON()
		require.NoError(f, err)
		f.Add(bytes.ToValidUTF8(body, []byte("?")))
		f.Add(body)
	}
	all, err := os.ReadFile("testdata/all.json")
	require.NoError(f, err)
	f.Add(all)
	rigs := fuzzRigs(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, r := range rigs {
			checkAnswer(t, r, mediaJSON, body)
		}
	})
}
