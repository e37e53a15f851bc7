package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"signalbox/internal/config"
)

func TestBanner(t *testing.T) {
	tcp := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	cfg := config.Default()
	cfg.Storage.Path = "/data"
	var b bytes.Buffer
	banner(&b, cfg, map[string]net.Addr{"http": tcp("::", 80), "otlp_http": tcp("127.0.0.1", 4318), "otlp_grpc": tcp("10.0.0.1", 4317)})
	for _, want := range []string{
		"API and Grafana        http://127.0.0.1:80  (data source type: Prometheus)\n",
		"export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\n",
		"OTLP over gRPC         10.0.0.1:4317\n",
		"http://127.0.0.1:80/api/v1/write\n",
		"signalbox query promql up --url http://127.0.0.1:80\n",
		"Data                   /data\n",
	} {
		require.Contains(t, b.String(), want)
	}

	// Without an OTLP listener SDKs send to the main port; passwords alone are no TLS.
	dir := t.TempDir()
	for text, scheme := range map[string]string{"tls_server_config: {cert_file: a}\n": "https", "basic_auth_users: {a: b}\n": "http"} {
		cfg.HTTP.WebConfigFile = filepath.Join(dir, "web.yml")
		require.NoError(t, os.WriteFile(cfg.HTTP.WebConfigFile, []byte(text), 0o600))
		b.Reset()
		banner(&b, cfg, map[string]net.Addr{"http": tcp("127.0.0.1", 4319)})
		require.Contains(t, b.String(), "OTEL_EXPORTER_OTLP_ENDPOINT="+scheme+"://127.0.0.1:4319\n")
		require.NotContains(t, b.String(), "gRPC")
	}
}
