// Package hostmetrics measures the machine under the names of Prometheus'
// node_exporter, so that dashboards and alerts made for it work without an
// exporter.
//
// Data path: a Collector is registered like any other prometheus.Collector;
// each gathering runs the parts (cpu, meminfo, filesystem, ...) one after the
// other, each reading the kernel afresh. A part that fails is counted, logged
// when its state changes, and costs the other parts nothing. On Linux the
// parts read /proc and /sys; elsewhere a smaller set comes from gopsutil.
//
// Ownership: no goroutine outlives a gathering, except one that hangs in the
// kernel on a mount whose server does not answer; that mount is then left
// alone until the call returns.
package hostmetrics
