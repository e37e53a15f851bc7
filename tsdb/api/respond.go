package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
)

// Error types of the envelope. Prometheus has these names only unexported.
const (
	errBadData     = "bad_data"
	errInternal    = "internal"
	errNotFound    = "not_found"
	errUnavailable = "unavailable"
)

type envelope struct {
	Status    string `json:"status"`
	Data      any    `json:"data,omitempty"`
	ErrorType string `json:"errorType,omitempty"`
	Error     string `json:"error,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone
}

func success(w http.ResponseWriter, data any) {
	writeJSON(w, http.StatusOK, envelope{Status: "success", Data: data})
}

func failure(w http.ResponseWriter, status int, kind, text string) {
	writeJSON(w, status, envelope{Status: "error", ErrorType: kind, Error: text})
}

// storeFailure answers an error of the store with the status of its class.
func storeFailure(w http.ResponseWriter, err error) {
	kind := errInternal
	switch fault.ClassOf(err) {
	case fault.Invalid:
		kind = errBadData
	case fault.Limited, fault.Unavailable:
		kind = errUnavailable
	}
	httpserver.SetRetryAfter(w.Header(), err)
	failure(w, httpserver.Status(err), kind, err.Error())
}

// notFound is JSON so that no client takes a page of ours for an answer.
func notFound(w http.ResponseWriter, r *http.Request) {
	failure(w, http.StatusNotFound, errNotFound, "no such endpoint: "+r.URL.Path)
}

// refusal is why a request goes no further.
type refusal struct {
	reason string // label of the counter
	status int
	err    error
}

func badParameter(name string, err error) *refusal {
	return &refusal{"parameter", http.StatusBadRequest, errors.New("invalid parameter \"" + name + "\": " + err.Error())}
}

func (a *API) refuse(w http.ResponseWriter, f *refusal) {
	a.metrics.refused.WithLabelValues(f.reason).Inc()
	failure(w, f.status, errBadData, f.err.Error())
}
