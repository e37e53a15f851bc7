package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

var (
	get     = []string{http.MethodGet}
	getPost = []string{http.MethodGet, http.MethodPost}
	post    = []string{http.MethodPost}
	postPut = []string{http.MethodPost, http.MethodPut}
)

const prefix = "/api/v1"

// newRoutes is the table of all endpoints below /api/v1.
func (a *API) newRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.metrics.refused.WithLabelValues("not_found").Inc()
		notFound(w, r)
	})
	add := func(path string, methods []string, h http.HandlerFunc) {
		mux.Handle(prefix+path, a.endpoint(methods, a.whenReady(a.withForm(h))))
	}
	lib := func(path string, methods []string) { add(path, methods, a.toLibrary) }

	lib("/query", getPost)
	add("/query_range", getPost, a.queryRange)
	lib("/query_exemplars", getPost)
	lib("/format_query", getPost)
	lib("/parse_query", getPost)
	add("/labels", getPost, a.listing)
	add("/series", getPost, a.listing)
	add("/label/{name}/values", get, a.labelValues)
	if a.cfg.EnableSearch {
		lib("/search/metric_names", getPost)
		lib("/search/label_names", getPost)
		lib("/search/label_values", getPost)
	}

	lib("/scrape_pools", get)
	lib("/scrape_pools/config", get)
	lib("/targets", get)
	lib("/targets/metadata", get)
	lib("/targets/relabel_steps", get)
	lib("/alertmanagers", get)
	lib("/alerts", get)
	lib("/rules", get)
	add("/metadata", get, a.metadata)

	add("/status/config", get, a.statusConfig)
	lib("/status/runtimeinfo", get)
	lib("/status/buildinfo", get)
	lib("/status/flags", get)
	lib("/status/self_metrics", get)
	add("/status/tsdb", get, a.statusTSDB)
	add("/status/tsdb/blocks", get, a.statusBlocks)
	add("/status/active_queries", get, a.activeQueries)
	add("/status/active_queries/{id}/cancel", post, a.cancelQuery)
	add("/status/slow_queries", get, a.slowQueries)
	lib("/features", get)
	lib("/openapi.yaml", get)

	// Served while the store starts: a user interface shows them meanwhile.
	mux.Handle(prefix+"/status/walreplay", a.endpoint(get, a.walReplay))
	mux.Handle(prefix+"/notifications", a.endpoint(get, a.withForm(a.toLibrary)))
	mux.Handle(prefix+"/notifications/live", a.endpoint(get, a.withForm(a.toLibrary)))

	add("/admin/tsdb/delete_series", postPut, a.adminOnly(a.deleteSeries))
	add("/admin/tsdb/clean_tombstones", postPut, a.adminOnly(a.cleanTombstones))
	add("/admin/tsdb/snapshot", postPut, a.adminOnly(a.snapshot))

	mux.Handle(prefix+"/read", a.endpoint(post, a.whenReady(a.remoteRead)))

	// Others serve POST on these paths; any other method lands here.
	mux.Handle(prefix+"/write", a.endpoint(post, notFound))
	mux.Handle(prefix+"/otlp/v1/metrics", a.endpoint(post, notFound))
	return mux
}

// ServeHTTP answers a request below /api/v1/.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.routes.ServeHTTP(w, r) }

// endpoint answers methods itself: OPTIONS, HEAD where GET is served, and 405
// for those that are not.
func (a *API) endpoint(methods []string, h http.HandlerFunc) http.Handler {
	allow := strings.Join(methods, ", ")
	if slices.Contains(methods, http.MethodGet) {
		allow += ", " + http.MethodHead
	}
	allow += ", " + http.MethodOptions
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case slices.Contains(methods, r.Method):
			h(w, r)
		case r.Method == http.MethodHead && slices.Contains(methods, http.MethodGet):
			r2 := *r
			r2.Method = http.MethodGet
			h(w, &r2) // the server leaves the body out
		case r.Method == http.MethodOptions:
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
		default:
			a.metrics.refused.WithLabelValues("method").Inc()
			w.Header().Set("Allow", allow)
			failure(w, http.StatusMethodNotAllowed, errBadData, "method "+r.Method+" is not allowed here, use "+allow)
		}
	})
}

func (a *API) whenReady(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.opts.Ready() {
			a.metrics.refused.WithLabelValues("not_ready").Inc()
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
			return
		}
		h(w, r)
	}
}

// withForm parses the form once, within bounds, for us and for the library.
func (a *API) withForm(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, a.cfg.MaxBodyBytes)
		parse := r.ParseForm
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			// As much memory as a body may have: nothing goes to temporary files.
			parse = func() error { return r.ParseMultipartForm(a.cfg.MaxBodyBytes) }
		}
		if err := parse(); err != nil {
			f := &refusal{"form", http.StatusBadRequest, errors.New("error parsing form values: " + err.Error())}
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				f.reason, f.status = "too_large", http.StatusRequestEntityTooLarge
			}
			a.refuse(w, f)
			return
		}
		if bad := checkParams(r.Form); bad != nil {
			a.refuse(w, bad)
			return
		}
		h(w, r)
	}
}

// toLibrary hands a checked request to Prometheus' API.
func (a *API) toLibrary(w http.ResponseWriter, r *http.Request) {
	a.toLibraryAs(w, r, strings.TrimPrefix(r.URL.Path, prefix))
}

func (a *API) toLibraryAs(w http.ResponseWriter, r *http.Request, path string) {
	u := *r.URL
	u.Path, u.RawPath = path, ""
	r2 := *r
	r2.URL = &u
	if r.Header.Get("Origin") != "" { // CORS is the server's, the library would add its own
		r2.Header = r.Header.Clone()
		r2.Header.Del("Origin")
	}
	a.library.ServeHTTP(flushable(w), &r2)
}

func (a *API) queryRange(w http.ResponseWriter, r *http.Request) {
	if bad := checkRange(r.Form); bad != nil {
		a.refuse(w, bad)
		return
	}
	a.toLibrary(w, r)
}

func (a *API) listing(w http.ResponseWriter, r *http.Request) {
	capLimit(r.Form, a.cfg.MaxListed)
	a.toLibrary(w, r)
}

// labelValues brings the name into the one form that survives the library's
// router, which sees unescaped paths: "a%2Fb" would be two segments there.
func (a *API) labelValues(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !model.UTF8Validation.IsValidLabelName(name) {
		a.refuse(w, &refusal{"parameter", http.StatusBadRequest, errors.New("invalid label name: \"" + strings.ToValidUTF8(name, "\uFFFD") + "\"")})
		return
	}
	if !strings.HasPrefix(name, "U__") {
		name = model.EscapeName(name, model.ValueEncodingEscaping)
	}
	capLimit(r.Form, a.cfg.MaxListed)
	a.toLibraryAs(w, r, "/label/"+name+"/values")
}
