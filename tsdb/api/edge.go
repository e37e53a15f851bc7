package api

import (
	"fmt"
	"net/http"
	"runtime"

	v1 "github.com/prometheus/prometheus/web/api/v1"

	"signalbox/internal/httpserver"
)

// registerEdge puts the endpoints outside /api on the mux.
func (a *API) registerEdge(mux httpserver.Mux) {
	mux.Handle("/federate", a.endpoint(get, a.whenReady(a.withForm(a.federate))))
	mux.Handle("/version", a.endpoint(get, a.version))
}

// RegisterSystem puts up what belongs to no tenant and must answer under any
// load: health, readiness, reload and stop.
func (a *API) RegisterSystem(mux httpserver.Mux) {
	mux.Handle("/-/healthy", a.endpoint(get, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "Signalbox is Healthy.")
	}))
	mux.Handle("/-/ready", a.endpoint(get, a.whenReady(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "Signalbox is Ready.")
	})))
	mux.Handle("/-/reload", a.endpoint(postPut, a.reload))
	mux.Handle("/-/quit", a.endpoint(postPut, a.quit))
}

// version is the build information without an envelope.
func (a *API) version(w http.ResponseWriter, _ *http.Request) {
	b := a.opts.Build
	writeJSON(w, http.StatusOK, v1.PrometheusVersion{
		Version: EmulatedVersion, Revision: b.Revision, Branch: b.Branch,
		BuildUser: b.User, BuildDate: b.Date, GoVersion: runtime.Version(),
	})
}

func (a *API) lifecycleAllowed(w http.ResponseWriter, hooked bool) bool {
	if a.cfg.EnableLifecycle && hooked {
		return true
	}
	a.metrics.refused.WithLabelValues("disabled").Inc()
	http.Error(w, "Lifecycle API is not enabled (api.enable_lifecycle).", http.StatusForbidden)
	return false
}

func (a *API) reload(w http.ResponseWriter, r *http.Request) {
	if !a.lifecycleAllowed(w, a.opts.Reload != nil) {
		return
	}
	a.metrics.lifecycleRequested.WithLabelValues("reload").Inc()
	if err := a.opts.Reload(r.Context()); err != nil {
		http.Error(w, "failed to reload config: "+err.Error(), http.StatusInternalServerError)
	}
}

func (a *API) quit(w http.ResponseWriter, _ *http.Request) {
	if !a.lifecycleAllowed(w, a.opts.Quit != nil) {
		return
	}
	a.metrics.lifecycleRequested.WithLabelValues("quit").Inc()
	_, _ = fmt.Fprint(w, "Requesting termination... Goodbye!")
	a.opts.Quit()
}
