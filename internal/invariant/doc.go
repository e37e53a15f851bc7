// Package invariant holds checks that test builds make and the product does
// not: built with the tag `invariants`, or with the race detector, Enabled is
// true; otherwise it is a constant false and the compiler removes what it guards.
//
// A check is for what only a defect of ours can break. Input is never checked
// here. Guard what costs something to find out: if invariant.Enabled { ... }.
package invariant
