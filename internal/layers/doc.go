// Package layers holds the test that keeps the import rule of
// docs/architecture.md: who may import whom. It has no code of its own.
package layers
