package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// errStopped is the error of Listen and Serve after Shutdown.
var errStopped = fmt.Errorf("the server was shut down: %w", http.ErrServerClosed)

// lastGrace is how long handlers get to return after their contexts were ended.
const lastGrace = time.Second

// Serve answers on all listeners until ctx ends, a listener fails or Shutdown
// is called, then shuts down within shutdown_timeout. It returns when every
// goroutine it started has ended; nil means that nothing was cut off.
func (s *Server) Serve(ctx context.Context) error {
	// Requests outlive ctx: they get the time of Shutdown to finish.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := s.begin(cancel); err != nil {
		return err
	}
	all := s.listeners()
	ended := make(chan error, len(all))
	var wg sync.WaitGroup
	for _, l := range all {
		b := l.base()
		s.log.Info("listening", "listener", b.name, "address", b.ln.Addr().String(), "tls", s.web.tlsOn())
		wg.Go(func() {
			err := l.serve(base)
			if err != nil {
				err = fmt.Errorf("%s: %w", b.option, err)
			}
			ended <- err
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	// Not with base, which Shutdown ends.
	err = errors.Join(err, s.Shutdown(context.WithoutCancel(ctx)))
	wg.Wait()
	return err
}

func (s *Server) begin(cancel context.CancelFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.shutdown != nil:
		return errStopped
	case !s.mu.listening:
		return errors.New("BUG: Serve called before Listen")
	case s.mu.serving:
		return errors.New("BUG: Serve called twice")
	}
	s.mu.serving = true
	s.mu.cancel = cancel
	return nil
}

// Shutdown refuses new connections and requests, lets those in flight finish
// until ctx ends or shutdown_timeout has passed, then cuts them off. It may be
// called at any time and again: later calls wait for the first and return its
// error, which is nil unless requests were cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if done := s.mu.shutdown; done != nil {
		s.mu.Unlock()
		select {
		case <-done:
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.mu.shutdownErr
		case <-ctx.Done():
			return fmt.Errorf("wait for shutdown: %w", ctx.Err())
		}
	}
	done := make(chan struct{})
	s.mu.shutdown = done
	listening, serving, cancel := s.mu.listening, s.mu.serving, s.mu.cancel
	s.mu.Unlock()

	var err error
	switch {
	case serving:
		err = s.stop(ctx, cancel)
	case listening:
		for _, l := range s.listeners() {
			err = errors.Join(err, l.base().ln.Close())
		}
	}
	s.mu.Lock()
	s.mu.shutdownErr = err
	s.mu.Unlock()
	close(done)
	return err
}

func (s *Server) stop(ctx context.Context, cancel context.CancelFunc) error {
	began := time.Now()
	s.log.Info("shutting down", "requests", s.inflight.count())
	ctx, release := context.WithTimeout(ctx, s.cfg.ShutdownTimeout)
	defer release()

	all := s.listeners()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, l := range all {
		wg.Go(func() {
			if errs[i] = l.drain(ctx); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: requests were cut off: %w", l.base().option, errs[i])
			}
		})
	}
	wg.Wait()
	cancel()
	for _, l := range all {
		l.close()
	}
	if left := s.inflight.wait(lastGrace); left > 0 {
		errs = append(errs, fmt.Errorf("%d requests did not end when they were cancelled", left))
	}
	err := errors.Join(errs...)
	s.log.Info("shut down", "duration", time.Since(began), "err", err)
	return err
}
