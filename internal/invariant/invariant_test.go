package invariant

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests hold in both kinds of build; run them with -tags invariants too.

func TestCheck(t *testing.T) {
	require.NotPanics(t, func() { Check(true, "fine") })
	for format, want := range map[string]string{
		"%d of %d":      "BUG: 1 of 2",
		"BUG: %d of %d": "BUG: 1 of 2",
	} {
		check := func() { Check(false, format, 1, 2) }
		if Enabled {
			require.PanicsWithValue(t, want, check)
		} else {
			require.NotPanics(t, check)
		}
	}
}

func TestScribbleReachesTheWholeCapacity(t *testing.T) {
	buf := make([]byte, 8)
	Scribble(buf[:3])
	want := make([]byte, 8)
	if Enabled {
		want = bytes.Repeat([]byte{scribbled}, 8)
	}
	require.Equal(t, want, buf)

	ints := make([]int, 4)
	ScribbleWith(ints[:1], -1)
	wantInts := make([]int, 4)
	if Enabled {
		wantInts = []int{-1, -1, -1, -1}
	}
	require.Equal(t, wantInts, ints)
}
