// Package pages renders the pages of docs/generated: Config from struct
// comments and defaults, Flags from the command tree, Metrics from the registry
// of a started program. Everything is a pure function of its arguments and the
// sources; a test beside each subject compares the page and rewrites it with
// -update.
package pages
