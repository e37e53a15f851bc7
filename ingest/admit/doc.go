// Package admit stands between every metrics door and the store: it refuses
// what a tenant's limits forbid and counts what came, what was kept and what
// was refused, by reason.
//
// A door asks Admitter.Door for its own storage.AppendableV2 once; its
// appenders check each sample, hand the rest to the store's appender, and add
// up the counters at Commit. Errors follow the class rule of
// docs/architecture.md: an Invalid error costs one sample, any other the request.
package admit
