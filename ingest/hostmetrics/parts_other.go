//go:build !linux

package hostmetrics

// state is what the parts keep between gatherings.
type state struct{}

var parts = portable
