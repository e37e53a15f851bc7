package httpserver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Label values of connection time-outs: what the server was waiting for.
const (
	phaseHeader = "header" // TLS handshake, or the headers of a request
	phaseBody   = "body"
	phaseIdle   = "idle" // the next request; ordinary
	phaseWrite  = "write"
)

type metrics struct {
	connectionsTotal, connectionsRefused *prometheus.CounterVec
	connections                          *prometheus.GaugeVec
	received, sent                       *prometheus.CounterVec
	timeouts                             *prometheus.CounterVec
	tlsErrors, http2Errors               *prometheus.CounterVec

	requests           *prometheus.CounterVec
	duration           *prometheus.HistogramVec
	bytesIn, bytesOut  *prometheus.CounterVec
	inflight           *prometheus.GaugeVec
	refused, bodyFault *prometheus.CounterVec

	rpcs                    *prometheus.CounterVec
	rpcDuration             *prometheus.HistogramVec
	rpcBytesIn, rpcBytesOut *prometheus.CounterVec

	panics            prometheus.Counter
	bodyMemory        prometheus.Gauge
	webConfigFailures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return f.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help,
			// A few classic buckets for scrapers that do not read native ones.
			Buckets:                         []float64{.005, .025, .1, .5, 2.5, 10, 60},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, labels)
	}
	return &metrics{
		connectionsTotal:   counter("signalbox_http_connections_accepted_total", "Connections that clients opened.", "listener"),
		connectionsRefused: counter("signalbox_http_connections_refused_total", "Connections that were closed at once because max_connections were open.", "listener"),
		connections:        gauge("signalbox_http_connections", "Connections that are open.", "listener"),
		received:           counter("signalbox_http_received_bytes_total", "Bytes that came over connections, protocol overhead included.", "listener"),
		sent:               counter("signalbox_http_sent_bytes_total", "Bytes that were sent over connections, protocol overhead included.", "listener"),
		timeouts:           counter("signalbox_http_timeouts_total", "Connections or requests that a time-out ended, by what the server was waiting for: header (or TLS handshake), body, idle (the next request; ordinary), write.", "listener", "phase"),
		tlsErrors:          counter("signalbox_http_tls_handshake_errors_total", "TLS handshakes that failed.", "listener"),
		http2Errors:        counter("signalbox_http_http2_errors_total", "Violations of HTTP/2 by clients, and HTTP/2 connections that were lost.", "listener"),
		requests:           counter("signalbox_http_requests_total", "HTTP requests that were answered, by status code; the code is \"aborted\" when the answer was cut off.", "listener", "route", "method", "code"),
		duration:           histogram("signalbox_http_request_duration_seconds", "Time from the headers of an HTTP request to the end of its answer.", "listener", "route", "method"),
		bytesIn:            counter("signalbox_http_request_body_bytes_total", "Bytes of request bodies, as sent.", "listener", "route"),
		bytesOut:           counter("signalbox_http_response_body_bytes_total", "Bytes of response bodies, as sent.", "listener", "route"),
		inflight:           gauge("signalbox_http_requests_in_flight", "HTTP requests and gRPC calls that are being worked on.", "listener"),
		refused:            counter("signalbox_http_requests_refused_total", "HTTP requests and gRPC calls that were refused before they reached their handler, by reason.", "listener", "reason"),
		bodyFault:          counter("signalbox_http_bodies_refused_total", "Request bodies that were not read to their end or could not be decompressed, by reason.", "listener", "reason"),
		rpcs:               counter("signalbox_grpc_requests_total", "gRPC calls that were answered, by status code.", "listener", "method", "code"),
		rpcDuration:        histogram("signalbox_grpc_request_duration_seconds", "Time from the headers of a gRPC call to the end of its answer.", "listener", "method"),
		rpcBytesIn:         counter("signalbox_grpc_received_bytes_total", "Bytes of gRPC messages received, compressed.", "listener", "method"),
		rpcBytesOut:        counter("signalbox_grpc_sent_bytes_total", "Bytes of gRPC messages sent, compressed.", "listener", "method"),
		panics:             f.NewCounter(prometheus.CounterOpts{Name: "signalbox_http_panics_total", Help: "Requests during which our code panicked. Each is a defect; the log has the stack."}),
		bodyMemory:         f.NewGauge(prometheus.GaugeOpts{Name: "signalbox_http_body_memory_bytes", Help: "Memory held by the bodies of requests in flight; max_body_memory bounds it."}),
		webConfigFailures:  f.NewCounter(prometheus.CounterOpts{Name: "signalbox_http_web_config_failures_total", Help: "Times that a changed web_config_file was faulty and the one before stayed in force."}),
	}
}

// listenerMetrics are those of one listener that are counted per connection.
type listenerMetrics struct {
	connectionsTotal, connectionsRefused prometheus.Counter
	connections                          prometheus.Gauge
	received, sent                       prometheus.Counter
	http2Errors, tlsErrors               prometheus.Counter
	timeouts                             map[string]prometheus.Counter
}

func (m *metrics) forListener(name string) *listenerMetrics {
	lm := &listenerMetrics{
		connectionsTotal:   m.connectionsTotal.WithLabelValues(name),
		connectionsRefused: m.connectionsRefused.WithLabelValues(name),
		connections:        m.connections.WithLabelValues(name),
		received:           m.received.WithLabelValues(name),
		sent:               m.sent.WithLabelValues(name),
		http2Errors:        m.http2Errors.WithLabelValues(name),
		tlsErrors:          m.tlsErrors.WithLabelValues(name),
		timeouts:           make(map[string]prometheus.Counter),
	}
	for _, p := range []string{phaseHeader, phaseBody, phaseIdle, phaseWrite} {
		lm.timeouts[p] = m.timeouts.WithLabelValues(name, p)
	}
	return lm
}

func (m *listenerMetrics) timeout(phase string) { m.timeouts[phase].Inc() }
