package collector

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"signalbox/internal/fault"
)

func TestValidateNamesThePath(t *testing.T) {
	t.Setenv("SB_BAD", "{ not a duration")
	f := func(name, doc string, want ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, doc)
			_, err := cfg.Validate()
			require.Error(t, err)
			require.Equal(t, fault.Invalid, fault.ClassOf(err))
			for _, w := range want {
				require.Contains(t, err.Error(), w)
			}
			for line := range strings.Lines(err.Error()) {
				require.True(t, strings.HasPrefix(line, "collector."), "no path: %q", line)
			}
		})
	}
	f("unknown receiver", `
receivers: {zipkn: {}}
service: {pipelines: {traces: {receivers: [zipkn]}}}`,
		`collector.receivers.zipkn: this build has no receiver of type "zipkn"; it has jaeger, kafka, otlp, statsd, zipkin`)
	f("unknown key", `
receivers: {zipkin: {endpoit: "127.0.0.1:1"}}
service: {pipelines: {traces: {receivers: [zipkin]}}}`,
		"collector.receivers.zipkin: has invalid keys: endpoit")
	f("unknown nested key", `
receivers: {otlp: {protocols: {grpc: {endpont: "127.0.0.1:1"}}}}
service: {pipelines: {traces: {receivers: [otlp]}}}`,
		"collector.receivers.otlp.protocols.grpc: has invalid keys: endpont")
	f("bad value", `
receivers: {statsd: {aggregation_interval: soon}}
service: {pipelines: {metrics: {receivers: [statsd]}}}`,
		"collector.receivers.statsd.aggregation_interval: time: invalid duration")
	f("value from the environment", `
receivers: {statsd: {aggregation_interval: "${env:SB_BAD}"}}
service: {pipelines: {metrics: {receivers: [statsd]}}}`,
		"collector.receivers.statsd.aggregation_interval: ")
	f("failed check", `
receivers: {zipkin: }
processors: {memory_limiter: {check_interval: 0s, limit_mib: 100}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [memory_limiter]}}}`,
		"collector.processors.memory_limiter: 'check_interval' must be greater than zero")
	f("not a mapping", `
receivers: {zipkin: [1]}
service: {pipelines: {traces: {receivers: [zipkin]}}}`,
		"collector.receivers.zipkin: want a mapping of settings")
	f("bad expression", `
receivers: {zipkin: }
processors: {transform: {trace_statements: ['set(span.nme, 1)']}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [transform]}}}`,
		"collector.processors.transform", "nme")
	f("bad filter", `
receivers: {zipkin: }
processors: {filter: {traces: {span: ['no such thing']}}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [filter]}}}`,
		"collector.processors.filter")
	f("unknown key of an HTTP server inside", `
receivers: {otlp: {protocols: {http: {endpont: "127.0.0.1:1", cors: {allowed_origin: [a]}}}}}
service: {pipelines: {traces: {receivers: [otlp]}}}`,
		"collector.receivers.otlp.protocols.http: has invalid keys: endpont", "collector.receivers.otlp.protocols.http.cors: has invalid keys: allowed_origin")
	f("bad policy", `
receivers: {zipkin: }
processors: {tail_sampling: {policies: [{name: a, type: nonsense}]}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [tail_sampling]}}}`,
		"collector.processors.tail_sampling: failed to create policy evaluator for \"a\": unknown sampling policy type nonsense")
	f("bad kafka", `
receivers: {kafka: {brokers: ["127.0.0.1:1"], traces: {topics: [a], exclude_topics: [b]}}}
service: {pipelines: {traces: {receivers: [kafka]}}}`,
		"collector.receivers.kafka", "exclude_topic")
	f("exporter", `
receivers: {zipkin: }
exporters: {otlphttp: {endpoint: x}}
service: {pipelines: {traces: {receivers: [zipkin], exporters: [otlphttp]}}}`,
		"collector.exporters.otlphttp: every pipeline ends in the stores of this program",
		`collector.service.pipelines.traces.exporters: "otlphttp" is not known: every pipeline ends in "signalbox"`)
	f("exporter with settings", `
receivers: {zipkin: }
exporters: {signalbox: {endpoint: x}}
service: {pipelines: {traces: {receivers: [zipkin]}}}`,
		"collector.exporters.signalbox: this exporter has no settings")
	f("other parts", `
receivers: {zipkin: }
connectors: {spanmetrics: }
extensions: {zpages: }
service: {extensions: [zpages], telemetry: {logs: {level: debug}}, pipelines: {traces: {receivers: [zipkin]}}}`,
		"collector.connectors.spanmetrics: ", "collector.extensions.zpages: ", "collector.service.extensions: ", "collector.service.telemetry: ")
	f("no pipeline", `receivers: {zipkin: }`, "collector.service.pipelines: no pipeline")
	f("unknown names", `
receivers: {zipkin: }
service: {pipelines: {traces: {receivers: [jaeger], processors: [batch]}}}`,
		`collector.service.pipelines.traces.receivers: "jaeger" is not configured under collector.receivers`,
		`collector.service.pipelines.traces.processors: "batch" is not configured under collector.processors`)
	f("wrong signal", `
receivers: {zipkin: , statsd: }
processors: {tail_sampling: {policies: [{name: a, type: always_sample}]}}
service: {pipelines: {metrics: {receivers: [zipkin, statsd], processors: [tail_sampling]}}}`,
		`collector.service.pipelines.metrics.receivers: "zipkin" does not handle metrics`,
		`collector.service.pipelines.metrics.processors: "tail_sampling" does not handle metrics`)
	f("no receivers, twice", `
receivers: {zipkin: }
processors: {batch: }
service: {pipelines: {traces: {receivers: [], processors: [batch, batch]}}}`,
		"collector.service.pipelines.traces.receivers: name at least one receiver",
		`collector.service.pipelines.traces.processors: "batch" stands twice`)
	f("bad pipeline name", `
receivers: {zipkin: }
service: {pipelines: {spans: {receivers: [zipkin]}}}`, "collector.service.pipelines.spans: ")
	f("profiles", `
receivers: {otlp: }
service: {pipelines: {profiles: {receivers: [otlp]}}}`, "collector.service.pipelines.profiles: profiles are not stored by this version")
	f("missing file", `
receivers: {zipkin: "${file:/does/not/exist}"}
service: {pipelines: {traces: {receivers: [zipkin]}}}`, "collector.receivers.zipkin: ")
	f("bad variable", `
receivers: {zipkin: {endpoint: "${env:A B}"}}
service: {pipelines: {traces: {receivers: [zipkin]}}}`, "collector.receivers.zipkin: ", "is not the name of an environment variable")
}

func TestNilSinkIsAnError(t *testing.T) {
	cfg := parse(t, `
receivers: {otlp: {protocols: {http: }}}
service: {pipelines: {logs/app: {receivers: [otlp]}}}`)
	_, err := cfg.Validate()
	require.NoError(t, err, "Validate does not know what the program stores")
	s := newStore().sinks()
	s.Logs = nil
	_, err = New(cfg, s, Options{})
	require.ErrorContains(t, err, "collector.service.pipelines.logs/app: logs are not stored by this version")
	require.Equal(t, fault.Invalid, fault.ClassOf(err))
}

func TestParse(t *testing.T) {
	_, err := Parse([]byte("receivers: {}\nprocesors: {}\n"))
	require.ErrorContains(t, err, "procesors")
	_, err = Parse([]byte("service: {pipelines: {traces: {receiver: [a]}}}"))
	require.ErrorContains(t, err, "receiver")
	cfg, err := Parse(nil)
	require.NoError(t, err)
	require.True(t, cfg.Empty())
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
}

// Everything this build has is accepted together, kafka included: nothing
// connects before Start.
func TestValidateAcceptsAllComponents(t *testing.T) {
	t.Setenv("SB_BROKER", "127.0.0.1:9092")
	secret := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(secret, []byte("hunter2"), 0o600))
	cfg := parse(t, `
receivers:
  otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}}}
  zipkin: {endpoint: "127.0.0.1:0"}
  jaeger: {protocols: {grpc: {endpoint: "127.0.0.1:14250"}, thrift_http: }}
  statsd: {endpoint: "127.0.0.1:0"}
  kafka:
    brokers: ["${env:SB_BROKER}"]
    group_id: ${env:SB_GROUP:-signalbox}
    auth: {sasl: {mechanism: PLAIN, username: u, password: "${file:SECRET}"}}
processors:
  batch: {send_batch_size: 100}
  memory_limiter: {check_interval: 1s, limit_mib: 4000}
  transform: {trace_statements: ['set(span.name, "x")']}
  filter: {logs: {log_record: ['severity_number < SEVERITY_NUMBER_WARN']}}
  attributes: {actions: [{key: a, value: b, action: insert}]}
  resource: {attributes: [{key: a, value: b, action: upsert}]}
  tail_sampling: {policies: [{name: a, type: always_sample}]}
  deltatocumulative:
exporters: {signalbox: }
service:
  pipelines:
    traces: {receivers: [otlp, zipkin, jaeger, kafka], processors: [memory_limiter, transform, tail_sampling, attributes, resource, batch], exporters: [signalbox]}
    metrics: {receivers: [otlp, statsd], processors: [memory_limiter, deltatocumulative, batch]}
    logs: {receivers: [otlp, kafka], processors: [memory_limiter, filter, batch]}
`, "SECRET", secret)
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
}

func TestWarnings(t *testing.T) {
	cfg := parse(t, `
receivers:
  zipkin: {endpoint: "127.0.0.1:0", include_metadata: true}
  statsd: {endpoint: "${SB_NO_SUCH_VARIABLE}"}
processors:
  batch:
  batch/tenants: {metadata_keys: [x-scope-orgid]}
  tail_sampling: {policies: [{name: a, type: always_sample}]}
service:
  pipelines:
    traces: {receivers: [zipkin], processors: [batch]}
    traces/two: {receivers: [zipkin], processors: [tail_sampling, batch/tenants]}
`)
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Len(t, warnings, 4)
	require.Contains(t, warnings[0], "collector.processors.batch: a receiver has include_metadata")
	require.Contains(t, warnings[1], "collector.processors.tail_sampling: a receiver has include_metadata")
	require.Equal(t, "collector.receivers.statsd: no pipeline names it, so it is not started", warnings[2])
	require.Contains(t, warnings[3], "the environment variable SB_NO_SUCH_VARIABLE is not set")
}

func TestPrintHidesSecrets(t *testing.T) {
	cfg := parse(t, `
receivers:
  kafka:
    brokers: [a, b]
    auth: {sasl: {username: u, password: hunter2}, aws: {secret_access_key: 77}}
    password_ref: ${env:PASSWORD}
    headers: {x-any: hunter2}
    tls: {insecure: true, key_file: /etc/key}
service: {pipelines: {traces: {receivers: [kafka]}}}`)
	out, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	require.NotContains(t, string(out), "hunter2")
	require.NotContains(t, string(out), "77")
	for _, want := range []string{"username: u", "password: '********'", "password_ref: ${env:PASSWORD}", "insecure: true", "key_file: /etc/key", "- b"} {
		require.Contains(t, string(out), want)
	}
	again, err := Parse(out)
	require.NoError(t, err)
	require.Equal(t, cfg.Service, again.Service)
	again, err = Parse([]byte("receivers: {kafka: {password: hunter2}}"))
	require.NoError(t, err)
	_, err = yaml.Marshal(again)
	require.NoError(t, err)
	require.Equal(t, "hunter2", normalize(again.Receivers["kafka"]).(map[string]any)["password"], "the original is untouched")
}

func TestEmptyStartsNothing(t *testing.T) {
	r := run(t, DefaultConfig(), Sinks{})
	require.Nil(t, r.current)
	require.Zero(t, r.value(t, "signalbox_collector_pipelines"))
	require.NoError(t, r.Apply(context.Background(), DefaultConfig()))
	require.Nil(t, r.current)
}

func FuzzValidate(f *testing.F) {
	f.Add([]byte(`receivers: {zipkin: {endpoint: "${env:X}"}}
service: {pipelines: {traces: {receivers: [zipkin]}}}`))
	f.Add([]byte("receivers: {1: {2: 3}, a/b/c: }\nservice: {pipelines: {logs/: {receivers: [1, '']}}}"))
	f.Add([]byte("processors: {filter: {traces: {span: ['\"']}}}"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if strings.Contains(string(doc), "file:") {
			return // a file of this machine would decide
		}
		cfg, err := Parse(doc)
		if err != nil {
			return
		}
		if _, err := cfg.Validate(); err != nil {
			require.Equal(t, fault.Invalid, fault.ClassOf(err), "%v", err)
		}
		_, err = yaml.Marshal(cfg)
		require.NoError(t, err)
	})
}
