// Package api serves the Prometheus HTTP API, federation, and the lifecycle
// endpoints below /-/.
//
// Data path: Register puts one handler for the subtree /api/v1/ on the mux; it
// finds the route in a table (routes.go), answers 404 and 405 itself, checks
// the request (request.go), and hands it either to Prometheus' own API
// (library.go, the only file that knows it) or to a handler of ours, where the
// library could not know the tenant. What the store must do is in store.go.
//
// Ownership: the API owns no goroutine and no file. Stores, engine and
// retrievers belong to whoever made them and outlive it.
package api
