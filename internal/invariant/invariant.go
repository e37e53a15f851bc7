package invariant

import (
	"fmt"
	"strings"
)

// Check panics in test builds when cond is false. The message starts with
// "BUG: ", which is put there if the format does not have it.
func Check(cond bool, format string, args ...any) {
	if Enabled && !cond {
		fail(format, args)
	}
}

func fail(format string, args []any) {
	if !strings.HasPrefix(format, "BUG: ") {
		format = "BUG: " + format
	}
	panic(fmt.Sprintf(format, args...))
}

// scribbled is what a buffer holds after its owner let go of it: not zero, not
// text, and as a length or an offset far out of range.
const scribbled = 0xDB

// Scribble overwrites a buffer up to its capacity in test builds. An owner calls
// it before it reuses a buffer that was lent, so that whoever kept it against the
// contract sees nonsense in a test and not another's data in production.
func Scribble(buf []byte) {
	if Enabled {
		buf = buf[:cap(buf)]
		for i := range buf {
			buf[i] = scribbled
		}
	}
}

// ScribbleWith does the same for a slice of anything, with a value that cannot
// be mistaken for a real one.
func ScribbleWith[T any](buf []T, with T) {
	if Enabled {
		buf = buf[:cap(buf)]
		for i := range buf {
			buf[i] = with
		}
	}
}
