package remotewrite

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
	"signalbox/internal/tenant"
)

// Handler is the remote write receiver. It is safe for concurrent use.
type Handler struct {
	sink    storage.AppendableV2
	meta    MetadataSink
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	seeds   *seeds
	cache   *cache
	pool    sync.Pool // of *request
	failing repeats
}

// New makes a receiver that writes to sink. Metadata goes to meta, nil to drop
// it. The tenant of a request is in its context.
func New(sink storage.AppendableV2, meta MetadataSink, cfg Config, opts Options) *Handler {
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := newCache(cfg.MaxCachedSeries)
	return &Handler{
		sink: sink, meta: meta, cfg: cfg,
		log:     log.With("component", "remotewrite"),
		metrics: newMetrics(opts.Registry, c),
		seeds:   newSeeds(),
		cache:   c,
		pool:    sync.Pool{New: func() any { return new(request) }},
	}
}

// Register mounts the receiver. The pattern without a method answers 405 even
// where something else is mounted at "/".
func (h *Handler) Register(mux httpserver.Mux) {
	mux.Handle("POST /api/v1/write", h)
	mux.Handle("/api/v1/write", h)
}

// ServeHTTP stores one write request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if speaksV2(r.Header) {
		setWritten(w.Header(), &tally{})
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "remote write needs POST", http.StatusMethodNotAllowed)
		return
	}
	version, err := protoVersion(r.Header)
	if err == nil {
		err = checkEncoding(r.Header)
	}
	if err != nil {
		h.fail(w, err, "unsupported")
		return
	}
	id, err := tenant.One(r.Context())
	if err != nil {
		h.fail(w, err, "bad_tenant")
		return
	}
	body, err := h.read(r)
	if err != nil {
		h.fail(w, err, "unreadable")
		return
	}
	defer body.Release()

	q := h.pool.Get().(*request)
	defer func() {
		q.forget()
		h.pool.Put(q)
	}()
	q.reset(h, version, id)
	if err := q.write(r.Context(), body.Bytes(), h.sink); err != nil {
		h.fail(w, err, failReason(err))
		return
	}
	h.metrics.observe(q)
	h.answer(w, q)
}

// read reads and decompresses the body. The contract tells a body that is too
// large on the wire (413) from one that is too large inside (400).
func (h *Handler) read(r *http.Request) (*httpserver.Body, error) {
	counted := &countingBody{ReadCloser: r.Body}
	r.Body = counted
	body, err := httpserver.ReadBody(r, httpserver.BodyLimits{Wire: h.cfg.MaxRequestBytes, Decoded: h.cfg.MaxDecodedBytes}, "snappy")
	if err != nil {
		if errors.Is(err, httpserver.ErrTooLarge) && max(counted.n, r.ContentLength) <= h.cfg.MaxRequestBytes {
			err = fault.New(fault.Invalid, "%v", err)
		}
		return nil, err
	}
	h.metrics.wireBytes.Add(float64(body.Wire))
	h.metrics.rawBytes.Add(float64(len(body.Bytes())))
	return body, nil
}

type countingBody struct {
	io.ReadCloser
	n int64
}

func (c *countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// answer is 204, or 400 when records were refused that the sender must hear of.
func (h *Handler) answer(w http.ResponseWriter, q *request) {
	if q.version == 2 {
		setWritten(w.Header(), &q.tally)
	}
	if q.nProblems > 0 {
		http.Error(w, q.tally.answer(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers a request of which nothing was stored.
func (h *Handler) fail(w http.ResponseWriter, err error, reason string) {
	h.metrics.failed.WithLabelValues(reason).Inc()
	if c := fault.ClassOf(err); c == fault.Internal || c == fault.Corrupt {
		if n, ok := h.failing.due(time.Now()); ok {
			h.log.Error("remote write failed", "err", err, "requests", n)
		}
	}
	httpserver.WriteError(w, httpserver.AskRetry(err))
}

// failReason is the metric label of a failed write.
func failReason(err error) string {
	switch {
	case errors.Is(err, errUndecodable):
		return "undecodable"
	case errors.Is(err, errTooManyRecords):
		return "too_many_records"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return fault.ClassOf(err).String()
}

// setWritten sets the headers by which a version 2 sender learns what was
// stored. Without them it takes a 2xx for the answer of a receiver that knows
// only version 1.
func setWritten(h http.Header, t *tally) {
	h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(t.samples))
	h.Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(t.histograms))
	h.Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(t.exemplars))
}
