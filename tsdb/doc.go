// Package tsdb keeps metrics: floats, native histograms, exemplars, metadata,
// stale markers and out-of-order samples, one store per tenant.
//
// Holds. A DB has one folder; below it `tenants/<name>/metrics` is one store
// and `tenants/<name>/metadata.log` the type, help and unit of its metrics.
// Inside each store works Prometheus' TSDB for now; nothing outside this
// folder sees that library, so that our own engine can take its place.
//
// One write. AppenderV2(ctx) takes the tenant from the context and opens its
// store; Append finds or makes the series (a new one only within the limits);
// Commit logs, then shows all samples at once, then, with wal_sync: always,
// waits for the group commit.
//
// One read. Querier returns at once; the first Select opens the stores of the
// context's tenants and holds them until Close.
//
// Lock order. DB.mu, then tenantStore.mu. Neither is held during IO, except
// tenantStore.mu while a failed store is taken out of use.
//
// Files. `lock` is held while a process uses the folder. docs/storage-metrics.md
// describes them all.
package tsdb
