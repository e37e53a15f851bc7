// Package app joins the subsystems into one program. It is the only package
// that sees all of them: New wires and binds ports, Start reads the log and
// begins to serve, Reload builds before it swaps, Stop ends everything in the
// reverse order. It holds no logic of its own; where a store does not fit the
// interface that an edge declared, the adapter is here.
package app
