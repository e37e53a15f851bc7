package hostmetrics

import "github.com/prometheus/client_golang/prometheus"

// emitter turns measured values into metrics. Label names and values are given
// in turn; a metric must have the same names every time.
type emitter struct {
	descs map[string]*prometheus.Desc
	ch    chan<- prometheus.Metric
}

func (e *emitter) gauge(name, help string, v float64, labels ...string) {
	e.emit(prometheus.GaugeValue, name, help, v, labels)
}

func (e *emitter) counter(name, help string, v float64, labels ...string) {
	e.emit(prometheus.CounterValue, name, help, v, labels)
}

// untyped is for numbers of the kernel of which only it knows what they are.
func (e *emitter) untyped(name, help string, v float64, labels ...string) {
	e.emit(prometheus.UntypedValue, name, help, v, labels)
}

func (e *emitter) emit(typ prometheus.ValueType, name, help string, v float64, labels []string) {
	desc := e.descs[name]
	if desc == nil {
		names := make([]string, 0, len(labels)/2)
		for i := 0; i < len(labels); i += 2 {
			names = append(names, labels[i])
		}
		desc = prometheus.NewDesc(name, help, names, nil)
		e.descs[name] = desc
	}
	values := make([]string, 0, len(labels)/2)
	for i := 1; i < len(labels); i += 2 {
		values = append(values, labels[i])
	}
	m, err := prometheus.NewConstMetric(desc, typ, v, values...)
	if err != nil {
		// A value that is not UTF-8, such as a mount point: the registry reports it.
		m = prometheus.NewInvalidMetric(desc, err)
	}
	e.ch <- m
}
