package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func printed(t *testing.T, c *Config) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, c.Print(&b))
	return b.String()
}

func TestPrintReadsBack(t *testing.T) {
	for _, doc := range []string{
		"",
		"limits: {retention: 36h, retention_bytes: 1500, samples_per_second: 0.5}\ntenants: {a.b: {max_series: 3}, '7': {max_labels: 1}}\n",
		"storage: {path: 'true'}\nquery: {timeout: 1500ms, lookback_delta: 1m30s}\n",
		"global: {scrape_interval: 7s}\nscrape_configs: [{job_name: x, static_configs: [{targets: [a]}]}]\n",
	} {
		c := parse(t, doc)
		text := printed(t, c)
		again, _, err := Parse("", []byte(text))
		require.NoError(t, err, text)
		require.Empty(t, cmp.Diff(text, printed(t, again)))
		require.Equal(t, c.Storage, again.Storage)
		require.Equal(t, c.Limits, again.Limits)
		require.Len(t, again.Tenants, len(c.Tenants))
		for name := range c.Tenants {
			require.Equal(t, c.Tenants[name], again.Tenants[name])
		}
		require.Equal(t, c.Query, again.Query)
		require.Empty(t, cmp.Diff(c.OTLP, again.OTLP, cmpopts.EquateEmpty()))
		require.Equal(t, c.HTTP, again.HTTP)
	}
}

func TestPrintWritesUnits(t *testing.T) {
	text := printed(t, Default())
	for _, want := range []string{"retention: 15d\n", "min_free_bytes: 256MiB\n", "out_of_order_window: 1h\n", "  listen: 127.0.0.1:4319\n", "max_label_name_bytes: 1KiB\n"} {
		require.Contains(t, text, want)
	}
}

func TestPrintMasksSecrets(t *testing.T) {
	t.Setenv("SB_TOKEN", "env-leak")
	c := parse(t, `
global:
  external_labels: {site: here}
scrape_configs:
  - job_name: a # comment-leak
    basic_auth: {username: joe, password: pw-leak}
    params: {access_token: [leak1]}
    static_configs: [{targets: ["h:1"]}]
  - job_name: b
    authorization: {type: Bearer, credentials: cred-leak}
    http_sd_configs: [{url: "https://user:url-leak@example.org/sd?token=query-leak&x=1"}]
  - job_name: c
    bearer_token: ${env:SB_TOKEN}
    http_headers: {X-Key: {values: [header-leak]}}
  - job_name: d
    authorization: {credentials_file: /etc/visible}
  - job_name: e
    oauth2: {client_id: visible-id, client_secret: oauth-leak, token_url: "https://visible/token"}
`)
	text := printed(t, c)
	require.NotContains(t, text, "leak")
	for _, want := range []string{"joe", "here", "/etc/visible", "visible-id", "https://visible/token", "type: Bearer", "${env:SB_TOKEN}", "x=1", masked} {
		require.Contains(t, text, want)
	}
	require.Contains(t, string(c.ScrapeDocument()), "pw-leak", "the scraper gets the real value")
	require.Contains(t, string(c.ScrapeDocument()), "env-leak")
}

func TestSecretNeverShows(t *testing.T) {
	s := struct {
		S Secret `yaml:"s" json:"s"`
	}{"leak"}
	y, err := yaml.Marshal(s)
	require.NoError(t, err)
	j, err := json.Marshal(s)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s.S)
	all := string(y) + string(j) + log.String() + fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.S, s.S)
	require.NotContains(t, all, "leak")
	require.Contains(t, all, masked)
	require.Equal(t, "leak", s.S.Reveal())
	require.Empty(t, Secret("").String())

	var back struct {
		S Secret `yaml:"s"`
	}
	require.NoError(t, yaml.Unmarshal([]byte("s: leak"), &back))
	require.Equal(t, "leak", back.S.Reveal())
}

func TestMaskURL(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		require.Equal(t, want, maskURL(in))
	}
	f("plain text: a@b", "plain text: a@b")
	f("http://h:80/x?a=b", "http://h:80/x?a=b")
	f("http://u:p@h/", "http://u:"+masked+"@h/")
	f("amqp://u:p:q@@h/ amqp://v:r@g", "amqp://u:"+masked+"@h/ amqp://v:"+masked+"@g")
	f("http://u:${env:P}@h/", "http://u:${env:P}@h/")
	f("http://h/?api_key=1&b=2", "http://h/?api_key="+masked+"&b=2")
	f("http://h/?api%5Fkey=1", "http://h/?api%5Fkey="+masked)
	require.NotContains(t, maskURL(strings.Repeat("http://a:b@c?token=d ", 3)), "=d ")
}
