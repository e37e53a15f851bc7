// Package lifecycle starts and stops what the program is made of, in order.
//
// Group holds closers: whoever opens something adds its closer at once, so that
// a program half made stops as cleanly as a whole one; Stop runs them in
// reverse. Start runs actors: loops that live until something stops them, where
// the first to fail stops the rest.
//
// Ownership: a Group owns what was added to it; a Running owns its goroutines,
// and Wait or Stop returns when they have ended.
package lifecycle
