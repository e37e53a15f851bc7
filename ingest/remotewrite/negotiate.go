package remotewrite

import (
	"net/http"
	"strings"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
)

// Names of the two messages, as the proto parameter of Content-Type spells them.
const (
	protoV1 = "prometheus.WriteRequest"
	protoV2 = "io.prometheus.write.v2.Request"
)

// protoVersion returns which message the Content-Type announces. A missing type
// or parameter means version 1; so it was before version 2 came.
func protoVersion(h http.Header) (int, error) {
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return 1, nil
	}
	media, params, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-protobuf") {
		return 0, fault.New(fault.Invalid, "%w: Content-Type %q; use application/x-protobuf", httpserver.ErrUnsupportedMedia, contentType)
	}
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "proto") {
			continue
		}
		switch strings.Trim(strings.TrimSpace(value), `"`) {
		case protoV1:
			return 1, nil
		case protoV2:
			return 2, nil
		}
		return 0, fault.New(fault.Invalid, "%w: Content-Type %q; proto is %s or %s", httpserver.ErrUnsupportedMedia, contentType, protoV1, protoV2)
	}
	return 1, nil
}

// checkEncoding refuses what neither the specification nor a known sender uses.
func checkEncoding(h http.Header) error {
	enc := h.Get("Content-Encoding")
	switch strings.ToLower(strings.TrimSpace(enc)) {
	case "", "snappy", "zstd":
		return nil
	}
	return fault.New(fault.Invalid, "%w: Content-Encoding %q; use snappy or zstd", httpserver.ErrUnsupportedMedia, enc)
}

// speaksV2 reports whether the sender expects version 2's answer headers, from
// what it announces even if its message type is not one we know.
func speaksV2(h http.Header) bool {
	version, err := protoVersion(h)
	return version == 2 || err != nil && strings.HasPrefix(h.Get("X-Prometheus-Remote-Write-Version"), "2.")
}
