package main

import (
	"testing"

	"signalbox/internal/testkit"
	"signalbox/tools/docgen/pages"
)

// TestFlagsPage fails when docs/generated/flags.md is not what the commands
// say; -update rewrites it.
func TestFlagsPage(t *testing.T) {
	testkit.Golden(t, "../../../docs/generated/flags.md", pages.Flags(newRoot()))
}
