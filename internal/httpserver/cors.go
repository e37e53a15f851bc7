package httpserver

import "net/http"

// cors sets the headers by which a browser lets other sites' pages read our
// answers, and answers every OPTIONS itself: a preflight carries neither
// password nor tenant. It reports whether the request is done.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	// Also on answers without the other headers, or a cache would give one
	// site's answer to another.
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" && s.origin.MatchString(origin) {
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin")
		h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		h.Set("Access-Control-Expose-Headers", "Date")
		if s.cfg.CORSOrigin == ".*" {
			origin = "*"
		}
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if r.Method != http.MethodOptions {
		return false
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
