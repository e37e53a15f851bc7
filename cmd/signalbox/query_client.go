package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"signalbox/internal/tenant"
)

// client asks a server with the Prometheus HTTP API. It is our own because
// client_golang's drops the infos of an answer and the text of most errors.
type client struct {
	base   *url.URL
	shown  string // the address without its password
	tenant string
	http   http.Client
}

func newClient(addr, tenants string) (*client, error) {
	u, err := url.Parse(addr)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, usagef("--url %q is not an address such as %s", redact(addr), defaultURL)
	}
	if tenants != "" {
		if _, err := tenant.ParseList(tenants); err != nil {
			return nil, usagef("--tenant: %s", strings.TrimPrefix(err.Error(), tenant.Header+": "))
		}
	}
	// A server on a reader's own machine must not be asked through a proxy, and
	// Go's default already leaves loopback out.
	return &client{base: u, shown: u.Redacted(), tenant: tenants}, nil
}

func redact(addr string) string {
	if i := strings.LastIndexByte(addr, '@'); i >= 0 {
		return "…" + addr[i:]
	}
	return addr
}

// answer is the envelope of the Prometheus HTTP API.
type answer struct {
	Status    string          `json:"status"`
	ErrorType string          `json:"errorType"`
	Error     string          `json:"error"`
	Data      json.RawMessage `json:"data"`
	Warnings  []string        `json:"warnings"`
	Infos     []string        `json:"infos"`

	value model.Value
}

// promql evaluates q. Errors say who to ask next: the server's own text, or
// what is wrong with the way there.
func (c *client) promql(ctx context.Context, q promqlQuery) (*answer, error) {
	form := url.Values{"query": {q.expr}}
	path := "/api/v1/query"
	if q.isRange {
		path = "/api/v1/query_range"
		form.Set("start", unix(q.start))
		form.Set("end", unix(q.end))
		form.Set("step", strconv.FormatFloat(q.step.Seconds(), 'f', -1, 64))
	} else if !q.at.IsZero() {
		form.Set("time", unix(q.at))
	}
	if d, ok := ctx.Deadline(); ok {
		form.Set("timeout", strconv.FormatInt(max(1, time.Until(d).Milliseconds()), 10)+"ms")
	}
	ans, err := c.post(ctx, path, form)
	if err != nil {
		return nil, err
	}
	ans.value, err = decodeValue(ans.Data)
	return ans, err
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', -1, 64) }

func (c *client) post(ctx context.Context, path string, form url.Values) (*answer, error) {
	u := *c.base
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.shown, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.tenant != "" {
		req.Header.Set(tenant.Header, c.tenant)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer of %s broke off after %d bytes: %w", c.shown, len(body), err)
	}
	return c.envelope(resp, body)
}

// serverError is what a server said about a query.
type serverError struct {
	status int
	text   string
}

func (e *serverError) Error() string { return e.text }

func (c *client) envelope(resp *http.Response, body []byte) (*answer, error) {
	var ans answer
	isJSON := false
	if mt, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && mt == "application/json" {
		isJSON = json.Unmarshal(body, &ans) == nil && ans.Status != ""
	}
	switch {
	case isJSON && ans.Status == "success" && resp.StatusCode == http.StatusOK:
		return &ans, nil
	case isJSON:
		return nil, &serverError{resp.StatusCode, ans.Error}
	case resp.StatusCode == http.StatusOK:
		return nil, fmt.Errorf("%s answers, but not as a server with the Prometheus HTTP API does; check --url", c.shown)
	}
	text := string(bytes.TrimSpace(body[:min(len(body), 500)]))
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += "; name the tenant with --tenant, user and password as https://user:password@host in --url"
	case http.StatusNotFound:
		text += "; check the path in --url"
	}
	return nil, &serverError{resp.StatusCode, fmt.Sprintf("%s answers %s: %s", c.shown, resp.Status, text)}
}

// unreachable explains why no answer came.
func (c *client) unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	why := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		why = u.Err // url.Error repeats the address, with what is secret in it
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		why = op.Err
	}
	return fmt.Errorf("no server answers at %s: %w\nStart one with 'signalbox serve', or name another with --url.", c.shown, why) //nolint:revive,staticcheck // two lines for a person
}

// decodeValue decodes {"resultType":…,"result":…}.
func decodeValue(data json.RawMessage) (model.Value, error) {
	var r struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("the answer is not a query result: %w", err)
	}
	var v model.Value
	var err error
	switch r.Type {
	case model.ValVector.String():
		v, err = decodeInto[model.Vector](r.Result)
	case model.ValMatrix.String():
		v, err = decodeInto[model.Matrix](r.Result)
	case model.ValScalar.String():
		var s model.Scalar
		err = json.Unmarshal(r.Result, &s)
		v = &s
	case model.ValString.String():
		var s model.String
		err = json.Unmarshal(r.Result, &s)
		v = &s
	default:
		return nil, fmt.Errorf("the answer has the unknown type %q", r.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the answer is not a valid %s: %w", r.Type, err)
	}
	return v, nil
}

func decodeInto[T model.Value](b []byte) (model.Value, error) {
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}

// position matches the place that PromQL's parser puts before its text.
var position = regexp.MustCompile(`\b(\d+):(\d+): parse error`)

// showPosition adds the line of the expression that a parse error is about,
// with a mark below its place.
func showPosition(err error, expr string) error {
	m := position.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	line, _ := strconv.Atoi(m[1])
	col, _ := strconv.Atoi(m[2])
	lines := strings.Split(expr, "\n")
	if line < 1 || line > len(lines) || col < 1 || col > len(lines[line-1])+1 {
		return err
	}
	text := lines[line-1]
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, text[:col-1])
	return fmt.Errorf("%w\n  %s\n  %s^", err, text, pad)
}
