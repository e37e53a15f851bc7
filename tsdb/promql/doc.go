// Package promql runs PromQL with limits. Engine is a Prometheus
// promql.QueryEngine: it parses within bounds, waits for a slot, gives the
// query a budget for what it reads, and hands the evaluation to Prometheus'
// engine.
//
// Data path: New…Query parses (parser.go) and wraps the storage (budget.go);
// Exec enters the registry (registry.go), waits at the gate (gate.go), runs,
// and names the option behind any limit that stopped it (errors.go).
//
// Ownership: a query belongs to its caller, who calls Close. Nothing here
// starts a goroutine. Locks are leaves: no lock is held over another.
package promql
