// Package telemetry makes the program's own logger and its own metric registry.
//
// Both are handed in: no package of the program uses slog's or Prometheus'
// global ones. NewLog writes text that is easy on the eyes, or JSON. Repeats
// wraps a logger for places where one cause makes a line per request: the first
// is written, the rest are counted and written once a minute.
//
// Ownership: a Repeats owns timers while it holds counts back, and Close ends
// them and writes what is left. Nothing else here has a goroutine.
package telemetry
