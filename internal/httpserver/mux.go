package httpserver

import (
	"net/http"
	"net/url"
	"strings"
)

// Mux is where an edge registers its routes. Patterns are those of
// http.ServeMux ("GET /api/v1/labels", "/api/v1/label/{name}/values"), matched
// on the escaped path.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// normalized returns r with "//" in its path folded (users type base URLs with
// a trailing slash), without a redirect, because a redirected POST may lose its
// body. It works on the escaped path: "%2F" is part of a name and stays.
func normalized(r *http.Request) *http.Request {
	if !strings.Contains(r.URL.Path, "//") {
		return r
	}
	escaped := r.URL.EscapedPath()
	folded := foldSlashes(escaped)
	if folded == escaped {
		return r
	}
	path, err := url.PathUnescape(folded)
	if err != nil {
		return r // EscapedPath never yields this
	}
	u := *r.URL
	u.Path, u.RawPath = path, folded
	r2 := *r
	r2.URL = &u
	return &r2
}

func foldSlashes(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return p
}
