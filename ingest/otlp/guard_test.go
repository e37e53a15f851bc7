package otlp

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// within wraps a message into fields, the innermost first.
func within(msg []byte, fields ...int) []byte {
	for _, num := range fields {
		head := binary.AppendUvarint(nil, uint64(num)<<3|2)
		msg = append(binary.AppendUvarint(head, uint64(len(msg))), msg...)
	}
	return msg
}

// nestedProto is a request of about so many bytes with one attribute value that
// is nothing but lists in lists, at path from the value's attribute outwards.
func nestedProto(size int, path ...int) []byte {
	// Written back to front: the inner lengths are known first.
	var back []byte
	for len(back) < size {
		for _, tag := range []byte{1<<3 | 2, 5<<3 | 2} { // ArrayValue.values, AnyValue.array_value
			l := binary.AppendUvarint(nil, uint64(len(back)))
			slices.Reverse(l)
			back = append(append(back, l...), tag)
		}
	}
	slices.Reverse(back)
	return within(back, append([]int{2}, path...)...)
}

// Paths of an attribute, outwards, through every kind of message.
var attributePaths = map[string][]int{
	"resource":         {1, 1, 1},
	"scope":            {3, 1, 2, 1},
	"deprecated scope": {3, 1, 1000, 1},
	"metric":           {12, 2, 2, 1},
	"gauge":            {7, 1, 5, 2, 2, 1},
	"sum":              {7, 1, 7, 2, 2, 1},
	"histogram":        {9, 1, 9, 2, 2, 1},
	"exponential":      {1, 1, 10, 2, 2, 1},
	"summary":          {7, 1, 11, 2, 2, 1},
	"exemplar":         {7, 5, 1, 7, 2, 2, 1},
	"hist exemplar":    {7, 8, 1, 9, 2, 2, 1},
	"exp exemplar":     {7, 11, 1, 10, 2, 2, 1},
}

func TestNesting(t *testing.T) {
	r := newRig(t)
	for name, path := range attributePaths {
		require.NoError(t, guardProto(nestedProto(100, path...)), name)
		w := r.post(mediaProto, "", nestedProto(10_000, path...))
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Contains(t, w.Body.String(), "nests values", name)
	}
	require.ErrorIs(t, guardProto(nestedProto(32<<20, attributePaths["resource"]...)), errTooDeep)
	// A large request that does not nest passes.
	md := one(gauge("g", 1))
	p := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
	for _, k := range []string{"a", "b", "c"} {
		p.Attributes().PutStr(k, string(make([]byte, 1<<19)))
	}
	p.Attributes().PutEmptyMap("m").PutEmptySlice("s").AppendEmpty().SetInt(1)
	require.Equal(t, http.StatusOK, r.post(mediaProto, "", marshal(t, md)).Code)
}

// One message below another, outwards: all that the decoder keeps a list of.
var messagePaths = map[string][]int{
	"resource metrics":    {1},
	"entity":              {3, 1, 1},
	"entity key":          {3, 3, 1, 1},
	"entity description":  {4, 3, 1, 1},
	"scope metrics":       {2, 1},
	"deprecated":          {1000, 1},
	"metric":              {2, 2, 1},
	"number":              {1, 5, 2, 2, 1},
	"sum":                 {1, 7, 2, 2, 1},
	"histogram":           {1, 9, 2, 2, 1},
	"exponential":         {1, 10, 2, 2, 1},
	"summary":             {1, 11, 2, 2, 1},
	"quantile":            {6, 1, 11, 2, 2, 1},
	"exemplar":            {5, 1, 5, 2, 2, 1},
	"histogram exemplar":  {8, 1, 9, 2, 2, 1},
	"element of a list":   {1, 5, 2, 1, 1, 1},
	"element of a map":    {1, 6, 2, 1, 1, 1},
	"resource attribute":  {1, 1, 1},
	"scope attribute":     {3, 1, 2, 1},
	"attribute":           {7, 1, 5, 2, 2, 1},
	"sum exemplar":        {5, 1, 7, 2, 2, 1},
	"exponential example": {11, 1, 10, 2, 2, 1},
}

func TestTooManyMessages(t *testing.T) {
	repeat := func(n int, path []int) []byte {
		return within(bytes.Repeat(within(nil, path[0]), n), path[1:]...)
	}
	for name, path := range messagePaths {
		require.ErrorIs(t, guardProto(repeat(maxMessages+1, path)), errTooMany, name)
		require.NoError(t, guardProto(repeat(maxMessages-10, path)), name)
	}
	counts := []int{2, 8, 1, 10, 2, 2, 1}
	const numbers = maxMessages * numbersPerMessage
	require.ErrorIs(t, guardProto(within(make([]byte, numbers+1), counts...)), errTooMany)
	require.ErrorIs(t, guardProto(within(bytes.Repeat([]byte{2 << 3, 0}, numbers+1), counts[1:]...)), errTooMany)
	require.NoError(t, guardProto(within(make([]byte, numbers/2), counts...)))

	r := newRig(t)
	w := r.post(mediaProto, "", repeat(maxMessages+1, messagePaths["number"]))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "send smaller ones")
	require.Zero(t, r.counter(t, r.m.received))

	list := func(element string, n int) []byte {
		all := bytes.Repeat([]byte(element+","), n)
		return slices.Concat([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[`), all[:len(all)-1], []byte("]}}]}]}]}"))
	}
	w = r.post(mediaJSON, "", list("{}", maxMessages+1))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "send smaller ones")
	require.NoError(t, guardJSON(list("{}", maxMessages-10)))
	require.ErrorIs(t, guardJSON(list("0", numbers+10)), errTooMany)
}

// The guard must let through whatever an encoder makes.
func TestGuardTakesEveryKind(t *testing.T) {
	for _, md := range append(seeds(), benchMetrics("mixed", at(0)), benchMetrics("exponential", at(0))) {
		md.ResourceMetrics().At(0).Resource().Attributes().PutEmptySlice("list").AppendEmpty().SetStr("x")
		require.NoError(t, guardProto(marshal(t, md)))
		asJSON, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, guardJSON(asJSON))
	}
}

// BenchmarkGuard is the share of BenchmarkDecode that the scan takes.
func BenchmarkGuard(b *testing.B) {
	for _, kind := range []string{"gauge", "mixed"} {
		b.Run(kind, func(b *testing.B) {
			body := marshal(b, benchMetrics(kind, at(0)))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := guardProto(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPoints, "ns/point")
		})
	}
}
