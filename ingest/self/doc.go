// Package self writes metrics of this process, and of whatever else can be
// gathered in it, into the store through the same door as everyone's data.
//
// Data path: every interval a Writer gathers its sources, turns each metric
// into series with the labels of its source, and appends them in one commit.
// A series that is gone ends with a stale marker; each source has an `up`. A
// round that the store refuses is counted and forgotten, never fatal.
//
// Ownership: Run is the only goroutine. Between rounds it keeps, for each
// metric, the labels and references of its series; they are found again by the
// identity of the metric, so a round in which nothing appears allocates little
// beyond what gathering itself does.
package self
