// Package httpserver owns the program's HTTP and gRPC listeners and everything
// that is the same for every protocol: limits, time-outs, TLS and passwords,
// tenants, CORS, compression, panics, and the table from error class to status.
//
// Listeners: the main port (every HTTP route, and gRPC on the same port over
// HTTP/2 with and without TLS), OTLP over HTTP, and OTLP over gRPC.
//
// A request: conn (connection limit, stall time-outs, bytes) → httpListener
// (request state, panics, metrics, CORS, password, gRPC or not, read deadline)
// → ServeMux → route (load limit, tenant, compression) → the edge's handler.
// A native gRPC call: conn → rpcWatch (password, load, slow bodies, metrics) →
// interceptor (tenant, error to status) → the edge's service.
//
// Ownership: a Body belongs to the caller of ReadBody until Release; its memory
// counts against the server's budget until the request ends. Serve waits for
// every goroutine it started; Shutdown is bounded and may be called at any time.
package httpserver
