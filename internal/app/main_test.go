package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signalbox/internal/config"
	"signalbox/internal/httpserver"
	"signalbox/internal/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyLeaks(m) }

// patience bounds every wait; nothing here asserts on how long things take.
const patience = time.Minute

// testConfig is the default on ports of its own and in a folder of its own,
// changed by the lines of YAML; relative paths start at that folder.
func testConfig(t *testing.T, lines ...string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	cfg, _, err := parse(dir, lines...)
	require.NoError(t, err)
	return cfg
}

func parse(dir string, lines ...string) (*config.Config, []string, error) {
	return config.Parse(filepath.Join(dir, "signalbox.yml"), []byte(strings.Join(lines, "\n")+"\n"), func(c *config.Config) {
		c.Storage.Path = filepath.Join(dir, "data")
		c.HTTP.Listen, c.OTLP.GRPCListen, c.OTLP.HTTPListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	})
}

// with is cfg's file with other lines, for reloads.
func with(t *testing.T, cfg *config.Config, lines ...string) *config.Config {
	t.Helper()
	next, _, err := parse(cfg.BaseDir(), lines...)
	require.NoError(t, err)
	return next
}

// running is a started app with a client.
type running struct {
	*App
	t      *testing.T
	client *http.Client
	addr   string // http://host:port of the main port
}

func start(t *testing.T, cfg *config.Config, opts Options) *running {
	t.Helper()
	a, err := New(cfg, opts)
	require.NoError(t, err)
	stopAtEnd(t, a)
	require.False(t, a.Ready())
	require.NoError(t, a.Start(t.Context()))
	require.True(t, a.Ready())
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &running{
		App: a, t: t, client: &http.Client{Transport: tr, Timeout: patience},
		addr: "http://" + a.Addrs()[httpserver.Main].String(),
	}
}

func stopAtEnd(t *testing.T, a *App) {
	t.Cleanup(func() { require.NoError(t, stop(a)) })
}

func stop(a *App) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return a.Stop(ctx)
}

// do returns status and body; header are names and values in turns.
func (r *running) do(method, path string, body []byte, header ...string) (int, string) {
	r.t.Helper()
	u := path
	if strings.HasPrefix(path, "/") {
		u = r.addr + path
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, u, bytes.NewReader(body))
	require.NoError(r.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.client.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(text)
}

func (r *running) get(path string) string {
	r.t.Helper()
	code, body := r.do(http.MethodGet, path, nil)
	require.Equal(r.t, http.StatusOK, code, body)
	return body
}

// query returns the answer to an instant query.
func (r *running) query(expr string, header ...string) string {
	r.t.Helper()
	code, body := r.do(http.MethodGet, "/api/v1/query?query="+url.QueryEscape(expr), nil, header...)
	require.Equal(r.t, http.StatusOK, code, body)
	return body
}

// hasResult reports whether a query's answer has a series.
func hasResult(answer string) bool { return strings.Contains(answer, `"metric":`) }

// value returns the sum of a metric of ours, of a histogram or summary the
// number of observations, over all series whose labels contain the texts.
func (r *running) value(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.Gatherer().Gather()
	require.NoError(r.t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			text := m.String()
			for _, l := range labels {
				if !strings.Contains(text, l) {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() +
				float64(m.GetHistogram().GetSampleCount()) + float64(m.GetSummary().GetSampleCount())
		}
	}
	return sum
}

// await waits until a metric of ours is above zero.
func (r *running) await(name string, labels ...string) {
	r.t.Helper()
	testkit.Eventually(r.t, patience, func() bool { return r.value(name, labels...) > 0 }, "%s %v", name, labels)
}
