package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
)

// remoteRead checks a request and hands it to the library, which answers bad
// matchers with 500 and takes any number of queries.
func (a *API) remoteRead(w http.ResponseWriter, r *http.Request) {
	raw, queries, err := a.readRequest(r)
	if err != nil {
		a.metrics.refused.WithLabelValues("remote_read").Inc()
		httpserver.WriteError(w, err)
		return
	}
	a.metrics.remoteReadQueries.Add(float64(queries))
	a.metrics.remoteReadRunning.Inc()
	defer a.metrics.remoteReadRunning.Dec()
	r2 := *r
	r2.Body = io.NopCloser(bytes.NewReader(raw))
	r2.ContentLength = int64(len(raw))
	a.toLibrary(w, &r2)
}

// readRequest returns the checked body as it was sent, and how many queries it has.
func (a *API) readRequest(r *http.Request) (raw []byte, queries int, err error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "snappy") {
		return nil, 0, fault.New(fault.Invalid, "%w: Content-Encoding %q, a remote read is snappy", httpserver.ErrUnsupportedMedia, enc)
	}
	r2 := *r
	r2.Header = http.Header{}
	body, err := httpserver.ReadBody(&r2, httpserver.BodyLimits{Wire: a.cfg.MaxBodyBytes, Decoded: a.cfg.MaxBodyBytes}, "")
	if err != nil {
		return nil, 0, err
	}
	defer body.Release()
	raw = bytes.Clone(body.Bytes())
	n, err := s2.DecodedLen(raw)
	if err != nil {
		return nil, 0, fault.New(fault.Invalid, "the body is not snappy: %w", err)
	}
	if int64(n) > a.cfg.MaxBodyBytes {
		return nil, 0, fault.New(fault.Invalid, "%w: %d bytes after decompression, the limit is %d (api.max_body_bytes)",
			httpserver.ErrTooLarge, n, a.cfg.MaxBodyBytes)
	}
	plain, err := s2.Decode(nil, raw)
	if err != nil {
		return nil, 0, fault.New(fault.Invalid, "the body is not snappy: %w", err)
	}
	var req prompb.ReadRequest
	if err := proto.Unmarshal(plain, &req); err != nil {
		return nil, 0, fault.New(fault.Invalid, "the body is not a ReadRequest: %w", err)
	}
	if n := len(req.Queries); n > a.cfg.RemoteReadMaxQueries {
		return nil, 0, fault.New(fault.Invalid, "%d queries, the limit is %d (api.remote_read_max_queries)", n, a.cfg.RemoteReadMaxQueries)
	}
	for i, q := range req.Queries {
		if err := checkReadQuery(q); err != nil {
			return nil, 0, fault.New(fault.Invalid, "query %d: %w", i, err)
		}
	}
	return raw, len(req.Queries), nil
}

func checkReadQuery(q *prompb.Query) error {
	if q == nil {
		return errors.New("is empty")
	}
	if _, err := remote.FromLabelMatchers(q.Matchers); err != nil {
		return fmt.Errorf("matchers: %w", err)
	}
	return nil
}
