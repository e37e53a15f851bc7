// Package testkit is what tests of several packages share: golden files, the
// check for leaked goroutines, waiting for a condition, and seeded makers of
// data. It imports nothing of the program, so every package may use it; only
// tests and benchmarks do.
package testkit
