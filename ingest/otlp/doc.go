// Package otlp is the door for OpenTelemetry metrics: OTLP over gRPC and over
// HTTP (protobuf and JSON), and Consume for a collector inside the program.
//
// Data path: body → guard (guard_*.go: nesting, number of messages) → pdata →
// per resource: check every point (check*.go; a bad point is taken out, counted
// and named in the answer) → delta streams become cumulative (delta*.go) →
// Prometheus' own translation → recorder, which attributes what the store says
// to points → sink. One request is one transaction of the sink, rolled back on
// every exit but a commit, panics included.
//
// Ownership: a batch (converter, plan, tallies) is pooled and belongs to one
// request. pdata copies all strings, so a body goes back to its pool as soon as
// it is decoded. Delta streams are guarded by 64 stripe locks chosen by
// resource and held until the sink has committed, in ascending order.
package otlp
