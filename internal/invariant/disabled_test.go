//go:build !(invariants || race)

package invariant

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDisabledChecksCostNothing(t *testing.T) {
	buf := make([]byte, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		Check(len(buf) == 64, "length %s", "x")
		Scribble(buf)
	}))
}
