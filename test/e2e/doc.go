// Package e2e tests the real binary with real clients and servers: the
// OpenTelemetry SDK, Debian's prometheus and prometheus-node-exporter, kill -9,
// a full disk. Run it with `make e2e`.
package e2e
