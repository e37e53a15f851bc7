package telemetry

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// syncBuffer is written by timers while a test reads it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// take returns the lines written since the last call, without time.
func (s *syncBuffer) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for l := range strings.SplitSeq(s.b.String(), "\n") {
		if _, l, ok := strings.Cut(l, " "); ok {
			out = append(out, l)
		}
	}
	s.b.Reset()
	return out
}

func newRepeats(interval time.Duration) (*slog.Logger, *Repeats, *syncBuffer) {
	out := &syncBuffer{}
	l, r := NewRepeats(slog.New(newTextHandler(out, slog.LevelInfo, false)), interval)
	return l, r, out
}

func TestRepeatsAreCountedThenLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, out := newRepeats(0)
		for i := range 5 {
			l.Warn("cannot append", "n", i)
			l.Error("another", "n", i)
		}
		require.Equal(t, []string{"WARN  cannot append n=0", "ERROR another n=0"}, out.take(), "the first at once")
		time.Sleep(RepeatInterval - time.Second)
		synctest.Wait()
		require.Empty(t, out.take())
		time.Sleep(time.Second)
		synctest.Wait()
		require.ElementsMatch(t, []string{"WARN  cannot append n=4 repeated=4", "ERROR another n=4 repeated=4"}, out.take())

		l.Warn("cannot append", "n", 5)
		require.Empty(t, out.take(), "still within the next minute")
		time.Sleep(RepeatInterval)
		synctest.Wait()
		require.Equal(t, []string{"WARN  cannot append n=5 repeated=1"}, out.take())

		time.Sleep(RepeatInterval)
		synctest.Wait()
		require.Empty(t, out.take(), "quiet: forgotten")
		l.Warn("cannot append", "n", 6)
		require.Equal(t, []string{"WARN  cannot append n=6"}, out.take(), "news again")
		require.NoError(t, r.Close())
	})
}

func TestRepeatsCloseWritesWhatIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, out := newRepeats(time.Hour)
		for range 3 {
			l.Warn("x")
		}
		l.Warn("once")
		out.take()
		require.NoError(t, r.Close())
		require.Equal(t, []string{"WARN  x repeated=2"}, out.take())
		l.Warn("x")
		l.Warn("x")
		require.Len(t, out.take(), 2, "closed: every line")
		require.NoError(t, r.Close())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Empty(t, out.take(), "no timer is left")
	})
}

func TestRepeatsKeepLevelsAndAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, out := newRepeats(time.Minute)
		l.Debug("x") // below the level
		l.With("tenant", "a").Warn("x")
		l.With("tenant", "b").Warn("x")
		l.WithGroup("g").Warn("y", "k", 1)
		l.Error("x")
		require.Equal(t, []string{"WARN  x tenant=a", "WARN  y g.k=1", "ERROR x"}, out.take())
		require.NoError(t, r.Close())
		require.Equal(t, []string{"WARN  x tenant=b repeated=1"}, out.take())
	})
}

func TestRepeatsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r, out := newRepeats(time.Minute)
		for i := range 10 * maxRepeated {
			l.Warn(fmt.Sprintf("m%d", i)) // a message that is not constant: a defect of the caller
		}
		require.Len(t, out.take(), maxRepeated+1)
		r.mu.Lock()
		require.Len(t, r.mu.seen, maxRepeated+1)
		r.mu.Unlock()
		require.NoError(t, r.Close())
		require.Equal(t, []string{fmt.Sprintf("WARN  m%d repeated=%d", 10*maxRepeated-1, 9*maxRepeated-1)}, out.take())
	})
}

func TestRepeatsOfManyGoroutinesLoseNoCount(t *testing.T) {
	l, r, out := newRepeats(time.Millisecond)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l.Warn("x")
			}
		})
	}
	wg.Wait()
	require.NoError(t, r.Close())
	total := 0
	for _, line := range out.take() {
		n := 1
		if _, s, ok := strings.Cut(line, "repeated="); ok {
			_, err := fmt.Sscan(s, &n)
			require.NoError(t, err)
		}
		total += n
	}
	require.Equal(t, 2000, total)
}

func TestRepeatsOfNil(t *testing.T) {
	l, r := NewRepeats(nil, 0)
	l.Warn("x")
	l.Warn("x")
	require.NoError(t, r.Close())
}
