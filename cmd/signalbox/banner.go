package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"signalbox/internal/config"
)

// banner tells a person at a terminal what to connect, with the addresses that
// were bound.
func banner(w io.Writer, cfg *config.Config, addrs map[string]net.Addr) {
	scheme := "http"
	if servesTLS(cfg.HTTP.WebConfigFile) {
		scheme = "https"
	}
	api := scheme + "://" + reachable(addrs["http"])
	data, err := filepath.Abs(cfg.Storage.Path)
	if err != nil {
		data = cfg.Storage.Path
	}
	fmt.Fprintf(w, "\nSignalbox %s is ready.\n\n", version)
	line := func(what, value string) { fmt.Fprintf(w, "  %-22s %s\n", what, value) }
	line("API and Grafana", api+"  (data source type: Prometheus)")
	otlp := addrs["otlp_http"]
	if otlp == nil {
		otlp = addrs["http"]
	}
	line("OpenTelemetry SDKs", "export OTEL_EXPORTER_OTLP_ENDPOINT="+scheme+"://"+reachable(otlp))
	line("", "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	if grpc := addrs["otlp_grpc"]; grpc != nil {
		line("OTLP over gRPC", reachable(grpc))
	}
	line("Remote write", api+"/api/v1/write")
	line("Ask", fmt.Sprintf("signalbox query promql up%s", urlFlag(api)))
	line("Data", data)
	fmt.Fprintln(w)
}

// servesTLS says whether a web config file sets certificates; it may also hold
// passwords only.
func servesTLS(file string) bool {
	if file == "" {
		return false
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	var keys map[string]yaml.Node
	return yaml.Unmarshal(data, &keys) == nil && keys["tls_server_config"].Kind == yaml.MappingNode
}

func urlFlag(api string) string {
	if api == defaultURL {
		return ""
	}
	return " --url " + api
}

// reachable is an address to type: one that listens everywhere is shown as this
// machine.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || t == nil {
		return fmt.Sprint(a)
	}
	if t.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", t.Port)
	}
	return t.String()
}
