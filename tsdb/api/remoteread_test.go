package api

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"signalbox/tsdb/promql"
)

func readClient(t *testing.T, s *server, kind prompb.ReadRequest_ResponseType) remote.ReadClient {
	t.Helper()
	u, err := url.Parse(s.URL + "/api/v1/read")
	require.NoError(t, err)
	c, err := remote.NewReadClient(t.Name(), &remote.ClientConfig{
		URL: &config_util.URL{URL: u}, Timeout: model.Duration(time.Minute), ChunkedReadLimit: 10 << 20,
		AcceptedResponseTypes: []prompb.ReadRequest_ResponseType{kind},
		HTTPClientConfig:      config_util.HTTPClientConfig{FollowRedirects: true},
	}, config_util.WithKeepAlivesDisabled())
	require.NoError(t, err)
	return c
}

func readQuery(from, to int64, ms ...*prompb.LabelMatcher) *prompb.Query {
	return &prompb.Query{StartTimestampMs: from, EndTimestampMs: to, Matchers: ms}
}

func expand(t *testing.T, set storage.SeriesSet) map[string][]float64 {
	t.Helper()
	out := map[string][]float64{}
	for set.Next() {
		s := set.At()
		values := []float64{}
		it := s.Iterator(nil)
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			if vt == chunkenc.ValFloat {
				_, v := it.At()
				values = append(values, v)
				continue
			}
			_, h := it.AtFloatHistogram(nil)
			values = append(values, h.Count, h.Sum, h.PositiveBuckets[0])
		}
		require.NoError(t, it.Err())
		out[s.Labels().String()] = values
	}
	require.NoError(t, set.Err())
	return out
}

// Prometheus' own client reads the same by both response types.
func TestRemoteRead(t *testing.T) {
	for _, kind := range []prompb.ReadRequest_ResponseType{prompb.ReadRequest_SAMPLES, prompb.ReadRequest_STREAMED_XOR_CHUNKS} {
		for _, external := range []bool{false, true} {
			name := kind.String()
			if external {
				name += " with external labels"
			}
			t.Run(name, func(t *testing.T) {
				s := serve(t, func(_ *Config, _ *promql.Config, o *Options) {
					if external {
						o.ExternalLabels = func() map[string]string { return map[string]string{"zone": "z"} }
					}
				})
				fill(t, s)
				suffix, ms := "", []*prompb.LabelMatcher{{Type: prompb.LabelMatcher_RE, Name: "__name__", Value: "up|lat"}}
				if external {
					suffix = `, zone="z"`
					ms = append(ms, &prompb.LabelMatcher{Type: prompb.LabelMatcher_EQ, Name: "zone", Value: "z"})
				}
				at := base().UnixMilli()
				c := readClient(t, s, kind)
				set, err := c.Read(t.Context(), readQuery(at, at+60000, ms...), true)
				require.NoError(t, err)
				require.Equal(t, map[string][]float64{
					`{__name__="lat"` + suffix + `}`:                          {6, 3.5, 2},
					`{__name__="up", instance="a", job="node"` + suffix + `}`: {1, 2},
					`{__name__="up", instance="b", job="node"` + suffix + `}`: {0},
				}, expand(t, set))

				set, err = c.Read(t.Context(), readQuery(at, at+60000, &prompb.LabelMatcher{Name: "__name__", Value: "nosuch"}), true)
				require.NoError(t, err)
				require.Empty(t, expand(t, set))
			})
		}
	}
}

// The default of an empty list is samples; of a list the first that is known.
func TestRemoteReadContentTypes(t *testing.T) {
	s := serve(t, nil)
	fill(t, s)
	q := readQuery(0, base().UnixMilli(), &prompb.LabelMatcher{Name: "__name__", Value: "up"})
	for _, c := range []struct {
		accept     []prompb.ReadRequest_ResponseType
		kind, code string
	}{
		{nil, "application/x-protobuf", "snappy"},
		{[]prompb.ReadRequest_ResponseType{prompb.ReadRequest_SAMPLES, prompb.ReadRequest_STREAMED_XOR_CHUNKS}, "application/x-protobuf", "snappy"},
		{[]prompb.ReadRequest_ResponseType{prompb.ReadRequest_STREAMED_XOR_CHUNKS, prompb.ReadRequest_SAMPLES}, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse", ""},
	} {
		got := s.read(t, &prompb.ReadRequest{Queries: []*prompb.Query{q, q}, AcceptedResponseTypes: c.accept}, "snappy")
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.Equal(t, c.kind, got.header.Get("Content-Type"))
		require.Equal(t, c.code, got.header.Get("Content-Encoding"))
	}
}

func (s *server) read(t *testing.T, req *prompb.ReadRequest, encoding string) answer {
	t.Helper()
	b, err := proto.Marshal(req)
	require.NoError(t, err)
	return s.readRaw(t, snappy.Encode(nil, b), encoding)
}

func (s *server) readRaw(t *testing.T, body []byte, encoding string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/read", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-protobuf")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	return s.send(t, req)
}

func TestRemoteReadRefusals(t *testing.T) {
	s := serve(t, func(c *Config, _ *promql.Config, _ *Options) {
		c.RemoteReadMaxSamples, c.RemoteReadMaxQueries, c.MaxBodyBytes = 1, 2, 10_000
	})
	fill(t, s)
	all := readQuery(0, base().UnixMilli()+60000, &prompb.LabelMatcher{Type: prompb.LabelMatcher_RE, Name: "__name__", Value: "up"})
	bomb := append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 0)
	for _, c := range []struct {
		name   string
		got    answer
		status int
		text   string
	}{
		{"sample limit", s.read(t, &prompb.ReadRequest{Queries: []*prompb.Query{all}}, "snappy"), 400, "exceeded sample limit (1)"},
		{"no encoding is snappy", s.read(t, &prompb.ReadRequest{Queries: []*prompb.Query{all}}, ""), 400, "exceeded sample limit (1)"},
		{"queries", s.read(t, &prompb.ReadRequest{Queries: []*prompb.Query{all, all, all}}, "snappy"), 400, "remote_read_max_queries"},
		{"regular expression", s.read(t, &prompb.ReadRequest{Queries: []*prompb.Query{readQuery(0, 1, &prompb.LabelMatcher{Type: prompb.LabelMatcher_RE, Name: "a", Value: "("})}}, "snappy"), 400, "query 0: matchers"},
		{"matcher type", s.read(t, &prompb.ReadRequest{Queries: []*prompb.Query{readQuery(0, 1, &prompb.LabelMatcher{Type: 9, Name: "a", Value: "b"})}}, "snappy"), 400, "query 0: matchers"},
		{"encoding", s.read(t, &prompb.ReadRequest{}, "gzip"), 415, "remote read is snappy"},
		{"not snappy", s.readRaw(t, []byte("hello"), "snappy"), 400, "snappy"},
		{"bomb", s.readRaw(t, bomb, "snappy"), 413, "max_body_bytes"},
		{"too long", s.readRaw(t, make([]byte, 20_000), "snappy"), 413, "too large"},
		{"not protobuf", s.readRaw(t, snappy.Encode(nil, []byte("hello")), "snappy"), 400, "ReadRequest"},
	} {
		require.Equal(t, c.status, c.got.status, "%s: %s", c.name, c.got.body)
		require.Contains(t, c.got.body, c.text, c.name)
	}
}

// A streamed answer has its series sorted, also where labels sort before the name.
func TestRemoteReadStreamSorted(t *testing.T) {
	s := serve(t, nil)
	at := base().UnixMilli()
	write(t, s.db, "default",
		sample{lset: labels.FromStrings("__name__", "m", "A", "2"), t: at, v: 1},
		sample{lset: labels.FromStrings("__name__", "m", "A", "1"), t: at, v: 1},
	)
	set, err := readClient(t, s, prompb.ReadRequest_STREAMED_XOR_CHUNKS).Read(t.Context(),
		readQuery(at, at, &prompb.LabelMatcher{Name: "__name__", Value: "m"}), true)
	require.NoError(t, err)
	var last labels.Labels
	n := 0
	for ; set.Next(); n++ {
		require.Negative(t, labels.Compare(last, set.At().Labels()))
		last = set.At().Labels()
	}
	require.NoError(t, set.Err())
	require.Equal(t, 2, n)
}
