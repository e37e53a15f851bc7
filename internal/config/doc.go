// Package config is the configuration file: one YAML document, decoded
// strictly into the Config of every subsystem.
//
// Data path: bytes → yaml.Node → aliases, merge keys and ${env:NAME} expanded
// (expand.go) → values set by Go type, every fault with its line and YAML path
// (decode.go) → overrides of the command line → Validate of every subsystem
// (validate.go). Nothing stops at the first fault.
//
// Durations are written as Prometheus writes them (15d, 1h30m). Every key that
// ends in "bytes" or "memory" takes a number or a size (512MB, 1GiB; powers of 1024, as in
// Prometheus). Sections that belong to a library (scrape_configs, collector)
// stay YAML and are handed on as a document of their own.
//
// Ownership: a Config is a value of its own after Load; nothing here keeps a
// reference to it, no goroutine runs. Only internal/app and cmd import this
// package.
package config
