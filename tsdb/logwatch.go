package tsdb

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// logWatch is the registry handed to Prometheus' TSDB. It remembers the two
// counters of failed log writes, because that library reports a failed write
// of out-of-order samples only there, after it has said yes to the appender.
//
// A reading after Commit is exact: the counter rises under the lock that orders
// log writes, so whoever logged behind a failed write sees it.
type logWatch struct {
	prometheus.Registerer

	mu       sync.Mutex
	failures []prometheus.Collector
	base     float64
}

const failedWritesSuffix = `writes_failed_total"`

// Register implements prometheus.Registerer.
func (w *logWatch) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 64)
	go func() {
		defer close(descs)
		c.Describe(descs)
	}()
	for d := range descs {
		if strings.Contains(d.String(), failedWritesSuffix) {
			w.mu.Lock()
			w.failures = append(w.failures, c)
			w.mu.Unlock()
		}
	}
	return w.Registerer.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (w *logWatch) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := w.Register(c); err != nil {
			panic(err)
		}
	}
}

// start forgets failures so far.
func (w *logWatch) start() { w.base = w.count() }

// failed reports whether a log write has failed since start.
func (w *logWatch) failed() bool { return w.count() > w.base }

func (w *logWatch) count() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var sum float64
	ch := make(chan prometheus.Metric, 1)
	for _, c := range w.failures {
		c.Collect(ch)
		var m dto.Metric
		if err := (<-ch).Write(&m); err == nil {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}
