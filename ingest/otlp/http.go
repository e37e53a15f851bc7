package otlp

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/protobuf/proto"

	"signalbox/internal/fault"
	"signalbox/internal/httpserver"
)

const (
	mediaProto = "application/x-protobuf"
	mediaJSON  = "application/json"
)

// maxToldError bounds the text of an error in an answer, in bytes.
const maxToldError = 1024

// ServeHTTP answers OTLP/HTTP: POST of protobuf or JSON, answered in the same.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	code := h.serve(w, r)
	h.m.answered("http", strconv.Itoa(code), began)
}

// serve answers r and returns the status.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "405 method not allowed, supported: [POST]", http.StatusMethodNotAllowed)
		return http.StatusMethodNotAllowed
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaProto && media != mediaJSON {
		http.Error(w, "415 unsupported media type, supported: [application/json, application/x-protobuf]", http.StatusUnsupportedMediaType)
		return http.StatusUnsupportedMediaType
	}
	req, err := h.read(r, media)
	if err != nil {
		return writeError(w, media, err)
	}
	out, err := h.consume(r.Context(), req.Metrics())
	if err != nil {
		return writeError(w, media, err)
	}
	return writeAnswer(w, media, out)
}

// read decodes the body of r. The result has no part of the pooled body.
func (h *Handler) read(r *http.Request, media string) (pmetricotlp.ExportRequest, error) {
	req := pmetricotlp.NewExportRequest()
	body, err := httpserver.ReadBody(r, httpserver.BodyLimits{Wire: h.cfg.MaxRequestBytes, Decoded: h.cfg.MaxRequestBytes}, "")
	if err != nil {
		return req, err
	}
	defer body.Release()
	h.m.bytes.WithLabelValues("http").Add(float64(body.Wire))
	if media == mediaJSON {
		return req, decodeJSON(req, body.Bytes())
	}
	return req, decodeProto(req, body.Bytes())
}

func decodeProto(req pmetricotlp.ExportRequest, body []byte) error {
	if err := guardProto(body); err != nil {
		return err
	}
	if err := req.UnmarshalProto(body); err != nil {
		return fault.New(fault.Invalid, "decode protobuf: %w", err)
	}
	return nil
}

func decodeJSON(req pmetricotlp.ExportRequest, body []byte) error {
	if err := guardJSON(body); err != nil {
		return err
	}
	if err := req.UnmarshalJSON(body); err != nil {
		return fault.New(fault.Invalid, "decode JSON: %w", err)
	}
	return nil
}

// encode makes the answer to a request that was stored. Without a refusal the
// partial success must be unset, so there is nothing in the answer at all.
func (o outcome) encode(media string) ([]byte, error) {
	if o.refused == 0 {
		if media == mediaJSON {
			return []byte("{}"), nil
		}
		return nil, nil
	}
	res := pmetricotlp.NewExportResponse()
	res.PartialSuccess().SetRejectedDataPoints(int64(o.refused))
	res.PartialSuccess().SetErrorMessage(o.message)
	if media == mediaJSON {
		return res.MarshalJSON()
	}
	return res.MarshalProto()
}

func writeAnswer(w http.ResponseWriter, media string, out outcome) int {
	body, err := out.encode(media)
	if err != nil {
		return writeError(w, media, err)
	}
	return write(w, media, http.StatusOK, body)
}

// writeError answers with a google.rpc.Status.
func writeError(w http.ResponseWriter, media string, err error) int {
	err = httpserver.AskRetry(err)
	s := httpserver.GRPCStatus(err).Proto()
	s.Message = clean(s.GetMessage(), maxToldError)
	var body []byte
	var merr error
	if media == mediaJSON {
		body, merr = json.Marshal(struct {
			Code    int32  `json:"code"`
			Message string `json:"message"`
		}{s.GetCode(), s.GetMessage()})
	} else {
		body, merr = proto.Marshal(s)
	}
	httpserver.SetRetryAfter(w.Header(), err)
	if merr != nil {
		body = nil // the status says enough
	}
	return write(w, media, httpserver.Status(err), body)
}

// write sends an answer. That the client may be gone is no concern of ours.
func write(w http.ResponseWriter, media string, code int, body []byte) int {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
	return code
}
