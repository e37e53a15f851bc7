package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"
)

// defaultGrace is how long Stop waits, after its context has ended, for closers
// that are told so by their own context and for the quick ones behind them:
// without it a slow drain of requests would cost the flush of the store.
const defaultGrace = 5 * time.Second

// Group stops things in the reverse order of their start. The zero value is
// ready. It may be used by several goroutines.
type Group struct {
	// Grace bounds how long Stop may outlast its context; 0 means 5 s. Set it
	// before the first Stop.
	Grace time.Duration

	mu struct {
		sync.Mutex
		closers []closer
		running string        // closer in progress
		done    chan struct{} // made by the first Stop, closed when all have run
		errs    []error
	}
}

type closer struct {
	name string
	fn   func(context.Context) error
}

// Add registers how to stop something. fn is called at most once, and should
// return soon after its context has ended, having let go of what it holds in any
// case. After Stop has begun nobody will call for it later, so Add calls fn
// itself, with a context that has ended.
func (g *Group) Add(name string, fn func(context.Context) error) {
	c := closer{name, fn}
	g.mu.Lock()
	late := g.mu.done != nil
	if !late {
		g.mu.closers = append(g.mu.closers, c)
	}
	g.mu.Unlock()
	if late {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.keep(c.run(ctx))
	}
}

// AddCloser registers an io.Closer.
func (g *Group) AddCloser(name string, c io.Closer) {
	g.Add(name, func(context.Context) error { return c.Close() })
}

// AddFunc registers a function that cannot fail.
func (g *Group) AddFunc(name string, fn func()) {
	g.Add(name, func(context.Context) error {
		fn()
		return nil
	})
}

// Stop runs the closers one after the other, the last added first, and returns
// their errors joined, each with its name. Every closer is run, whatever those
// before it said; ctx is theirs too. One that has not returned when ctx has ended
// and Grace has passed is named in the error, and those behind it are left to
// wait for it, because what it uses must not be closed under it.
//
// Calling again, or at the same time, waits for the same stop.
func (g *Group) Stop(ctx context.Context) error {
	done := g.begin(ctx)
	select {
	case <-done:
		return g.result()
	case <-ctx.Done():
	}
	grace := g.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
		return g.result()
	case <-t.C:
	}
	g.mu.Lock()
	name, left := g.mu.running, len(g.mu.closers)
	g.mu.Unlock()
	return errors.Join(g.result(), fmt.Errorf("stop %s: did not end in time, %d more wait for it: %w", name, left, ctx.Err()))
}

// begin starts the stop unless it was started before.
func (g *Group) begin(ctx context.Context) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.done == nil {
		done := make(chan struct{})
		g.mu.done = done
		// Ends with the last closer; Stop waits for it as long as it may.
		go func() {
			defer close(done)
			for c, ok := g.next(); ok; c, ok = g.next() {
				g.keep(c.run(ctx))
			}
		}()
	}
	return g.mu.done
}

func (g *Group) next() (closer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := len(g.mu.closers) - 1
	if last < 0 {
		return closer{}, false
	}
	c := g.mu.closers[last]
	g.mu.closers = g.mu.closers[:last]
	g.mu.running = c.name
	return c, true
}

func (g *Group) keep(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.errs = append(g.mu.errs, err)
}

func (g *Group) result() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.mu.errs...)
}

func (c closer) run(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("stop %s: %w", c.name, err)
		}
	}()
	// A panic here must not cost the closers behind: the store's is among them.
	defer recoverTo(&err)
	return c.fn(ctx)
}

// recoverTo turns a panic into an error that can be found by "BUG:".
func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("BUG: panic: %v\n%s", v, debug.Stack())
	}
}
