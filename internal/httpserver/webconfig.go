package httpserver

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"

	"signalbox/internal/fault"
)

// webConfig is the file of TLS certificates and passwords, in the format of
// Prometheus' exporter-toolkit. A change is taken up within a second; a faulty
// one leaves the file before in force. The toolkit's own handler is not used
// because it parses the file for every request and knows no native gRPC. A nil
// webConfig is no TLS and no passwords.
type webConfig struct {
	path     string
	log      *slog.Logger
	failures prometheus.Counter
	now      atomic.Pointer[webState]

	mu struct {
		sync.Mutex
		checked time.Time
		seen    fileStamp
	}
	// bcrypt is slow on purpose, so one password is tried at a time, and those
	// that were right are remembered.
	hashing chan struct{}
	known   struct {
		sync.Mutex
		right map[[sha256.Size]byte]struct{}
	}
}

type webState struct {
	web.Config
	tls     *tls.Config   // nil: no TLS
	limiter *rate.Limiter // nil: no limit
}

type fileStamp struct {
	size int64
	mod  time.Time
}

// maxKnown bounds the remembered passwords; past it all are tried anew.
const maxKnown = 1024

func openWebConfig(path string, log *slog.Logger, failures prometheus.Counter) (*webConfig, error) {
	w := &webConfig{path: path, log: log, failures: failures, hashing: make(chan struct{}, 1)}
	w.known.right = make(map[[sha256.Size]byte]struct{})
	st, err := loadWebState(path)
	if err != nil {
		return nil, err
	}
	w.mu.seen = stamp(path)
	w.mu.checked = time.Now()
	w.now.Store(st)
	return w, nil
}

func loadWebState(path string) (*webState, error) {
	if err := web.Validate(path); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	st := &webState{Config: web.Config{
		TLSConfig:  web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, PreferServerCipherSuites: true},
		HTTPConfig: web.HTTPConfig{HTTP2: true},
	}}
	if err := yaml.UnmarshalStrict(content, &st.Config); err != nil {
		return nil, err
	}
	st.TLSConfig.SetDirectory(filepath.Dir(path))
	if st.TLSConfig.IsEnabled() {
		if st.tls, err = web.ConfigToTLSConfig(&st.TLSConfig); err != nil {
			return nil, err
		}
	}
	if rl := st.RateLimiterConfig; rl.Interval != 0 {
		st.limiter = rate.NewLimiter(rate.Every(rl.Interval), rl.Burst)
	}
	return st, nil
}

func stamp(path string) fileStamp {
	fi, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{size: fi.Size(), mod: fi.ModTime()}
}

// current returns the file as it is in force, looking for a change at most once
// a second.
func (w *webConfig) current() *webState {
	if !w.mu.TryLock() {
		return w.now.Load() // somebody else is looking
	}
	defer w.mu.Unlock()
	if time.Since(w.mu.checked) >= time.Second {
		w.mu.checked = time.Now()
		w.reloadLocked()
	}
	return w.now.Load()
}

func (w *webConfig) reloadLocked() {
	st := stamp(w.path)
	if st == w.mu.seen {
		return
	}
	w.mu.seen = st
	old := w.now.Load()
	next, err := loadWebState(w.path)
	if err == nil && (next.tls != nil) != (old.tls != nil) {
		err = errors.New("TLS cannot be turned on or off without a restart")
	}
	if err != nil {
		w.failures.Inc()
		w.log.Error("the changed web_config_file is faulty, the one before stays in force", "file", w.path, "err", err)
		return
	}
	w.now.Store(next)
	w.known.Lock()
	clear(w.known.right)
	w.known.Unlock()
	w.log.Info("web_config_file taken up", "file", w.path)
}

func (w *webConfig) tlsOn() bool { return w != nil && w.now.Load().tls != nil }

func (w *webConfig) http2() bool { return w == nil || w.now.Load().HTTPConfig.HTTP2 }

// authenticates reports whether a stranger is kept out.
func (w *webConfig) authenticates() bool {
	if w == nil {
		return false
	}
	st := w.now.Load()
	return len(st.Users) > 0 || st.tls != nil &&
		(st.tls.ClientAuth == tls.RequireAndVerifyClientCert || st.tls.ClientAuth == tls.RequireAnyClientCert && st.TLSConfig.ClientAllowedSans != nil)
}

// tlsConfig is what a listener starts with; each handshake asks for the newest.
func (w *webConfig) tlsConfig(http2, http1 bool) *tls.Config {
	if !w.tlsOn() {
		return nil
	}
	var protos []string
	if http2 {
		protos = append(protos, "h2")
	}
	if http1 {
		protos = append(protos, "http/1.1")
	}
	fresh := func() *tls.Config {
		c := w.current().tls.Clone()
		c.NextProtos = protos
		return c
	}
	c := fresh()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return fresh(), nil }
	return c
}

var (
	errUnauthorized = errors.New("unauthorized")
	errRateLimit    = fault.New(fault.Limited, "too many requests (rate_limit in http.web_config_file)").
			WithReason("rate_limit").WithRetryAfter(time.Second)
)

// admit answers a request that may not pass, and reports whether it may.
func (w *webConfig) admit(q *request, r *http.Request) bool {
	if w == nil {
		return true
	}
	st := w.current()
	for k, v := range st.HTTPConfig.Header {
		q.Header().Set(k, v)
	}
	user, pass, ok := r.BasicAuth()
	err := w.check(st, r.Context().Done(), user, pass, ok)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errRateLimit):
		q.refuse("rate_limit")
		WriteError(q, err)
	default:
		q.refuse("unauthorized")
		q.Header().Set("WWW-Authenticate", `Basic realm="signalbox"`)
		http.Error(q, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
	}
	return false
}

// check is nil when a request with these credentials may pass.
func (w *webConfig) check(st *webState, gone <-chan struct{}, user, pass string, given bool) error {
	if st.limiter != nil && !st.limiter.Allow() {
		return errRateLimit
	}
	if len(st.Users) == 0 {
		return nil
	}
	if !given {
		return errUnauthorized
	}
	hash, exists := st.Users[user]
	if !exists {
		// As slow as for a user who exists, or names could be guessed by time.
		hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%d:%s:%s:%s", len(user), user, hash, pass))
	w.known.Lock()
	_, right := w.known.right[key]
	w.known.Unlock()
	if right {
		return nil
	}
	select {
	case w.hashing <- struct{}{}:
	case <-gone:
		return errUnauthorized
	}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(pass))
	<-w.hashing
	if err != nil || !exists {
		return errUnauthorized
	}
	w.known.Lock()
	defer w.known.Unlock()
	if len(w.known.right) >= maxKnown {
		clear(w.known.right)
	}
	w.known.right[key] = struct{}{}
	return nil
}
