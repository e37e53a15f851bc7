package config

import (
	"testing"

	"signalbox/internal/testkit"
)

// Validate builds the Collector's components; none may stay behind.
func TestMain(m *testing.M) { testkit.VerifyLeaks(m) }
