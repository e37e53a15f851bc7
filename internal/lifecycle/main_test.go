package lifecycle

import (
	"testing"

	"signalbox/internal/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyLeaks(m) }
