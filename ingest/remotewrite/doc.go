// Package remotewrite receives Prometheus remote write, versions 1 and 2, at
// POST /api/v1/write.
//
// Data path: body (snappy or zstd, bounded) → framing checked once → for each
// TimeSeries the bytes of its labels are an opaque key → cached
// storage.SeriesRef, predicted from the order of the last request or found by
// a keyed 128-bit hash → storage.AppenderV2.Append with the reference alone.
// Labels are parsed and validated only for a key that is not cached, or whose
// reference the store has forgotten. New metadata goes to its sink in one call.
// Commit, then the new references are cached, then 204, or 400 with what was
// refused. More than max_records records are refused as a whole.
//
// Ownership: a request (request.go) and its buffers belong to one call of
// ServeHTTP and are pooled after it; nothing handed to the sink points into the
// body, because labels, exemplars and metadata are copied when they are built.
// The cache (cache.go) is shared by all requests, read without locks and
// bounded by max_cached_series. The package starts no goroutine.
package remotewrite
