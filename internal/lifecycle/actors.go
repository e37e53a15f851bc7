package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Actor is a loop with a name.
type Actor struct {
	// Name is for errors.
	Name string
	// Run blocks until ctx has ended or it fails. Nil says that its work is done,
	// which does not stop the others.
	Run func(ctx context.Context) error
}

// Run runs actors until all have returned; the first that returns an error, or
// panics, ends the context of the others. It returns their errors joined, each
// with its name. What an actor returns for the end of its context is no error,
// nor is the end of ctx itself.
func Run(ctx context.Context, actors ...Actor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(actors))
	for i, a := range actors {
		wg.Go(func() {
			err := a.run(ctx)
			if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return
			}
			errs[i] = err
			cancel()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (a Actor) run(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", a.Name, err)
		}
	}()
	// One loop's defect becomes an orderly stop of the program, which flushes.
	defer recoverTo(&err)
	return a.Run(ctx)
}

// Running is a set of actors in the background.
type Running struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // written before done is closed
}

// Start runs actors as Run does, in the background. The caller must Stop.
func Start(actors ...Actor) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer cancel()
		r.err = Run(ctx, actors...)
	}()
	return r
}

// Done is closed when all actors have returned.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err returns what Run returned; nil until Done is closed.
func (r *Running) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Stop ends the actors' context and waits for them, at most until ctx has
// ended. It may be called again, and it fits Group.Add.
func (r *Running) Stop(ctx context.Context) error {
	r.cancel()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		// Both may be ready; the result is worth more than the deadline.
		select {
		case <-r.done:
			return r.err
		default:
			return fmt.Errorf("actors did not end in time: %w", ctx.Err())
		}
	}
}
