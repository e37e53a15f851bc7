// Package collector runs the OpenTelemetry Collector inside the program: the
// receivers and processors that an operator configures under the key
// "collector", ending in our own stores instead of exporters.
//
// Data path: a client → receiver (zipkin, jaeger, statsd, kafka, otlp) →
// processors, in the order of the pipeline → the exporter "signalbox", which
// every pipeline gets (exporter.go) → the tenant is put into the context and the
// error classes are translated (deliver.go) → Sinks.
//
// A configuration becomes a plan (plan.go: environment expanded, every part
// decoded and checked, nothing opened), a plan becomes a generation
// (generation.go: one service of the Collector with its listeners). Apply makes
// and checks the new generation first, then stops the old one and starts the
// new one; when the new one cannot start, the old plan is started again.
//
// Ownership: a Collector owns its generation and waits for it in Stop. A sink
// borrows the data until it returns: it may neither keep nor change it. After
// Stop no sink is called. Without configuration nothing runs.
//
// The Collector's log lines go to the program's slog (log.go), its own metrics,
// named otelcol_*, to the program's registry (telemetry.go). It opens no
// listener of its own, sets no global, handles no signal and traces nothing.
package collector
