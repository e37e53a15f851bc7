package httpserver

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// writeChunk is how much of a response a client must take within the write
// time-out: a big response to a slow but living client is not cut off.
const writeChunk = 64 << 10

// listener wraps the connections it accepts: it bounds their number, ends those
// whose peer takes nothing, and counts bytes and time-outs.
type listener struct {
	net.Listener
	max   int
	stall time.Duration
	tls   bool
	m     *listenerMetrics

	mu struct {
		sync.Mutex
		conns map[*conn]struct{}
	}
}

func newListener(ln net.Listener, maxConns int, stall time.Duration, tls bool, m *listenerMetrics) *listener {
	l := &listener{Listener: ln, max: maxConns, stall: stall, tls: tls, m: m}
	l.mu.conns = make(map[*conn]struct{})
	return l
}

// Accept refuses connections above the limit at once, rather than leaving them
// in the backlog, where a client cannot tell a busy server from a dead one.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.m.connectionsTotal.Inc()
		c := &conn{Conn: nc, l: l}
		if l.add(c) {
			l.m.connections.Inc()
			return c, nil
		}
		l.m.connectionsRefused.Inc()
		l.refuse(nc)
	}
}

const tooManyConnections = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Connection: close\r\n\r\ntoo many connections (http.max_connections)\n"

func (l *listener) refuse(nc net.Conn) {
	if !l.tls {
		// The socket's buffer is empty, so this does not block; a gRPC client
		// takes the text for "unavailable" and comes back.
		_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = nc.Write([]byte(tooManyConnections))
	}
	_ = nc.Close()
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.conns) >= l.max {
		return false
	}
	l.mu.conns[c] = struct{}{}
	return true
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	delete(l.mu.conns, c)
	l.mu.Unlock()
	l.m.connections.Dec()
}

// closeConns closes the connections that match; all when match is nil.
func (l *listener) closeConns(match func(*conn) bool) {
	l.mu.Lock()
	var matched []*conn
	for c := range l.mu.conns {
		if match == nil || match(c) {
			matched = append(matched, c)
		}
	}
	l.mu.Unlock()
	for _, c := range matched {
		_ = c.Close()
	}
}

// conn is one accepted connection.
type conn struct {
	net.Conn
	l      *listener
	closed sync.Once

	state  atomic.Int32 // http.ConnState; native gRPC leaves it at StateNew
	read   atomic.Int64 // bytes since the state last changed
	total  atomic.Int64 // bytes ever read
	late   atomic.Bool  // a time-out was counted since the last byte; net/http reads again after one
	bounds struct {
		sync.Mutex
		read, write time.Time // deadlines set by the server above, zero for none
	}
}

// untouched reports whether the client has sent nothing at all.
func (c *conn) untouched() bool { return c.total.Load() == 0 }

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read.Add(int64(n))
		c.total.Add(int64(n))
		c.late.Store(false)
		c.l.m.received.Add(float64(n))
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && c.realTimeout() && !c.late.Swap(true) {
		c.l.m.timeout(c.phase())
	}
	return n, err
}

// realTimeout tells a deadline that passed from one that was set in the past,
// which is how net/http interrupts its own reads.
func (c *conn) realTimeout() bool {
	c.bounds.Lock()
	defer c.bounds.Unlock()
	return c.bounds.read.After(time.Unix(1<<20, 0)) && !c.bounds.read.After(time.Now())
}

// phase names what the server was waiting for.
func (c *conn) phase() string {
	switch http.ConnState(c.state.Load()) {
	case http.StateActive:
		return phaseBody
	case http.StateIdle:
		if c.read.Load() == 0 {
			return phaseIdle
		}
	}
	return phaseHeader
}

// Write gives each chunk the whole write time-out.
func (c *conn) Write(p []byte) (int, error) {
	done := 0
	for {
		chunk := p[done:min(len(p), done+writeChunk)]
		if err := c.Conn.SetWriteDeadline(c.writeBound()); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(chunk)
		done += n
		c.l.m.sent.Add(float64(n))
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.l.m.timeout(phaseWrite)
			}
			return done, err
		}
		if done >= len(p) {
			return done, nil
		}
	}
}

func (c *conn) writeBound() time.Time {
	stall := time.Now().Add(c.l.stall)
	c.bounds.Lock()
	defer c.bounds.Unlock()
	if d := c.bounds.write; !d.IsZero() && d.Before(stall) {
		return d
	}
	return stall
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.bounds.Lock()
	defer c.bounds.Unlock()
	c.bounds.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.bounds.Lock()
	c.bounds.write = t
	c.bounds.Unlock()
	return c.Conn.SetWriteDeadline(c.writeBound())
}

// CloseWrite lets net/http end a response without a reset that would make the
// client lose it.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return t.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *conn) Close() error {
	c.closed.Do(func() { c.l.remove(c) })
	return c.Conn.Close()
}

// watchState is the http.Server.ConnState of connections that listener made.
func watchState(nc net.Conn, state http.ConnState) {
	type wrapper interface{ NetConn() net.Conn }
	if t, ok := nc.(wrapper); ok { // *tls.Conn
		nc = t.NetConn()
	}
	if c, ok := nc.(*conn); ok {
		c.state.Store(int32(state))
		c.read.Store(0)
	}
}
