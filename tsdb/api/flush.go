package api

import "net/http"

// flushable gives w the http.Flusher that streaming endpoints of the library
// ask for, also where the server's own writer hides it behind Unwrap.
func flushable(w http.ResponseWriter) http.ResponseWriter {
	if _, ok := w.(http.Flusher); ok {
		return w
	}
	return &flushWriter{ResponseWriter: w, rc: http.NewResponseController(w)}
}

type flushWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
}

// Flush sends what is buffered; a writer that cannot sends at the end.
func (f *flushWriter) Flush() { _ = f.rc.Flush() }

// Unwrap lets http.ResponseController find the writer below.
func (f *flushWriter) Unwrap() http.ResponseWriter { return f.ResponseWriter }
