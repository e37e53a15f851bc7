package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signalbox/internal/testkit"
)

// TestMain cannot set the zone of the goldens, so the plots of this file name it.
func utc(t *testing.T) {
	t.Helper()
	old := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = old })
}

func TestQueryFlags(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, tc := range []struct {
		name string
		f    promqlFlags
		want promqlQuery
		err  string
	}{
		{name: "instant now", want: promqlQuery{}},
		{name: "instant then", f: promqlFlags{time: "-90m"}, want: promqlQuery{at: ago(90 * time.Minute)}},
		{name: "since", f: promqlFlags{ago: "6h"}, want: promqlQuery{isRange: true, start: ago(6 * time.Hour), end: now, step: 2 * time.Minute}},
		{name: "since before end", f: promqlFlags{ago: "1h", end: "now-1d"}, want: promqlQuery{isRange: true, start: ago(25 * time.Hour), end: ago(24 * time.Hour), step: 15 * time.Second}},
		{name: "start only", f: promqlFlags{start: "-1h"}, want: promqlQuery{isRange: true, start: ago(time.Hour), end: now, step: 15 * time.Second}},
		{name: "step only", f: promqlFlags{step: "30"}, want: promqlQuery{isRange: true, start: ago(time.Hour), end: now, step: 30 * time.Second}},
		{name: "plot", f: promqlFlags{output: "plot"}, want: promqlQuery{isRange: true, start: ago(time.Hour), end: now, step: 15 * time.Second}},
		{name: "unix", f: promqlFlags{time: "1700000000.25"}, want: promqlQuery{at: time.UnixMilli(1700000000250)}},
		{name: "bad output", f: promqlFlags{output: "xml"}, err: `--output "xml" is none of table, json, csv, plot`},
		{name: "bad time", f: promqlFlags{time: "noon"}, err: `--time "noon" is not a time`},
		{name: "ms", f: promqlFlags{time: "1700000000000"}, err: "is not a time"},
		{name: "bad end", f: promqlFlags{end: "-x"}, err: `--end "-x" is not a time`},
		{name: "bad start", f: promqlFlags{start: "?"}, err: "--start"},
		{name: "bad step", f: promqlFlags{step: "0s"}, err: "--step"},
		{name: "NaN step", f: promqlFlags{step: "NaN"}, err: "--step"},
		{name: "bad since", f: promqlFlags{ago: "-1h"}, err: "--since"},
		{name: "both starts", f: promqlFlags{ago: "1h", start: "-1h"}, err: "give one of them"},
		{name: "time of a range", f: promqlFlags{ago: "1h", time: "now"}, err: "--time is for one instant"},
		{name: "backwards", f: promqlFlags{start: "now", end: "-1h"}, err: "before it starts"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, err := tc.f.query("up", now)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				require.ErrorAs(t, err, new(*usageError))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want.isRange, q.isRange)
			require.True(t, tc.want.at.Equal(q.at), q.at)
			require.True(t, tc.want.start.Equal(q.start), q.start)
			require.True(t, tc.want.end.Equal(q.end), q.end)
			require.Equal(t, tc.want.step, q.step)
		})
	}
	_, err := (&promqlFlags{}).query(" ", now)
	require.ErrorContains(t, err, "EXPR is empty")
}

func TestStepGivesAtMost250Points(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(100*365*24*time.Hour)).Draw(t, "range"))
		require.LessOrEqual(t, int64(d/stepFor(d)), int64(250))
	})
}

// TestRender compares each format of each kind of answer with its golden file;
// the answers are in testdata/answer, as a server sends them.
func TestRender(t *testing.T) {
	utc(t)
	q := promqlQuery{isRange: true, start: time.Unix(1767225600, 0), end: time.Unix(1767229200, 0), step: 15 * time.Second}
	for _, name := range []string{"vector", "empty", "scalar", "string", "histogram", "points", "matrix", "many"} {
		data, err := os.ReadFile(filepath.Join("testdata", "answer", name+".json"))
		require.NoError(t, err)
		v, err := decodeValue(data)
		require.NoError(t, err)
		for _, format := range outputs {
			t.Run(name+"."+format, func(t *testing.T) {
				t.Setenv("COLUMNS", "80")
				var b bytes.Buffer
				q := q
				q.isRange = name != "points"
				require.NoError(t, render(&b, format, q, &answer{Data: data, value: v}))
				testkit.Golden(t, "render/"+name+"."+format+".txt", b.Bytes())
			})
		}
	}
}

func TestPlotSurvivesAnyValues(t *testing.T) {
	utc(t)
	special := []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e18, 1e18 + 256}
	rapid.Check(t, func(t *rapid.T) {
		q := promqlQuery{isRange: true, start: time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "start"))}
		q.end = q.start.Add(time.Duration(rapid.Int64Range(1, 1e15).Draw(t, "range")))
		q.step = time.Duration(rapid.Int64Range(1, 1e12).Draw(t, "step"))
		var m model.Matrix
		for range rapid.IntRange(0, 12).Draw(t, "series") {
			s := &model.SampleStream{Metric: model.Metric{"a": model.LabelValue(rapid.String().Draw(t, "label"))}}
			ts := q.start.UnixMilli()
			for range rapid.IntRange(0, 30).Draw(t, "points") {
				ts += rapid.Int64Range(0, max(1, q.end.Sub(q.start).Milliseconds()/8)).Draw(t, "dt")
				y := rapid.OneOf(rapid.SampledFrom(special), rapid.Float64()).Draw(t, "y")
				s.Values = append(s.Values, model.SamplePair{Timestamp: model.Time(ts), Value: model.SampleValue(y)})
			}
			m = append(m, s)
		}
		scr := screen{width: rapid.IntRange(40, 200).Draw(t, "width"), colour: rapid.Bool().Draw(t, "colour")}
		var b bytes.Buffer
		renderPlot(&b, scr, q, m)
		renderSummary(&b, m)
		require.True(t, utf8.Valid(b.Bytes()))
		require.LessOrEqual(t, strings.Count(b.String(), "\n"), 2*plotHeight+maxPlotted+len(m)+10)
		if !scr.colour {
			require.NotContains(t, b.String(), "\x1b", "a label must not drive the terminal")
		}
	})
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	var b bytes.Buffer
	require.False(t, screenOf(&b).colour)
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	require.False(t, screenOf(f).colour)
}

func TestShowPosition(t *testing.T) {
	err := showPosition(errors.New(`invalid parameter "query": 2:5: parse error: unexpected`), "sum(\n\tä  )")
	require.Equal(t, "invalid parameter \"query\": 2:5: parse error: unexpected\n  \tä  )\n  \t  ^", err.Error())
	for _, text := range []string{"no place", "9:1: parse error: x", "1:99: parse error: x", "0:0: parse error"} {
		require.Equal(t, text, showPosition(errors.New(text), "up").Error())
	}
}

// answering runs a server that gives every request one answer, and remembers it.
func answering(t *testing.T, status int, contentType, body string) (addr string, last func() *http.Request) {
	t.Helper()
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got = r
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL, func() *http.Request { return got }
}

func TestClientRequest(t *testing.T) {
	addr, last := answering(t, 200, "application/json; charset=utf-8", `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]},"warnings":["w"],"infos":["i"]}`)
	c, err := newClient(strings.Replace(addr, "http://", "http://joe:pw@", 1)+"/prefix/", "a|b")
	require.NoError(t, err)
	ans, err := c.promql(context.Background(), promqlQuery{expr: "1 + 1", isRange: true, start: time.UnixMilli(1500), end: time.Unix(9, 0), step: 500 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, []string{"w"}, ans.Warnings)
	require.Equal(t, []string{"i"}, ans.Infos)
	r := last()
	require.Equal(t, "/prefix/api/v1/query_range", r.URL.Path)
	require.Equal(t, "a|b", r.Header.Get("X-Scope-OrgID"))
	user, pw, _ := r.BasicAuth()
	require.Equal(t, "joe pw", user+" "+pw)
	require.Equal(t, "1 + 1", r.PostForm.Get("query"))
	require.Equal(t, "1.5 9 0.5", r.PostForm.Get("start")+" "+r.PostForm.Get("end")+" "+r.PostForm.Get("step"))
}

func TestClientErrors(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"parse error", "application/json", `{"status":"error","errorType":"bad_data","error":"1:4: parse error: no"}`, 400, "1:4: parse error: no\n  up{\n     ^"},
		{"timeout is JSON too", "application/json", `{"status":"error","errorType":"timeout","error":"query timed out"}`, 503, "query timed out"},
		{"plain text", "text/plain", "no org id", 401, "401 Unauthorized: no org id; name the tenant with --tenant"},
		{"not found", "text/plain", "404 page not found", 404, "check the path in --url"},
		{"a web page", "text/html", "<html>", 200, "not as a server with the Prometheus HTTP API does"},
		{"broken JSON", "application/json", `{"status":`, 200, "not as a server with the Prometheus HTTP API does"},
		{"other data", "application/json", `{"status":"success","data":[]}`, 200, "not a query result"},
		{"other type", "application/json", `{"status":"success","data":{"resultType":"streams","result":[]}}`, 200, `unknown type "streams"`},
		{"bad vector", "application/json", `{"status":"success","data":{"resultType":"vector","result":[1]}}`, 200, "not a valid vector"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr, _ := answering(t, tc.status, tc.contentType, tc.body)
			var out, errs bytes.Buffer
			require.Equal(t, exitFailed, run([]string{"query", "promql", "up{", "--url", addr}, &out, &errs))
			require.Contains(t, errs.String(), tc.want)
			require.Empty(t, out.String())
		})
	}
}

func TestClientTimeoutNamesTheFlag(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	var out, errs bytes.Buffer
	require.Equal(t, exitFailed, run([]string{"query", "promql", "up", "--url", s.URL, "--timeout", "20ms"}, &out, &errs))
	require.Contains(t, errs.String(), "gave no answer within 20ms (--timeout)")
}

func TestUnreachableHidesThePassword(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, exitFailed, run([]string{"query", "promql", "up", "--url", "http://joe:hush@127.0.0.1:1"}, &out, &errs))
	require.Contains(t, errs.String(), "no server answers at http://joe:xxxxx@127.0.0.1:1")
	require.Contains(t, errs.String(), "signalbox serve")
	require.NotContains(t, errs.String(), "hush")

	errs.Reset()
	require.Equal(t, exitUsage, run([]string{"query", "promql", "up", "--url", "joe:hush@host"}, &out, &errs))
	require.NotContains(t, errs.String(), "hush")
}

func FuzzDecodeValue(f *testing.F) {
	files, err := filepath.Glob("testdata/answer/*.json")
	require.NoError(f, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decodeValue(json.RawMessage(data))
		if err != nil {
			return
		}
		q := promqlQuery{isRange: true, start: time.Unix(0, 0), end: time.Unix(3600, 0), step: time.Second}
		for _, format := range outputs {
			var b bytes.Buffer
			_ = render(&b, format, q, &answer{Data: data, value: v})
		}
	})
}
