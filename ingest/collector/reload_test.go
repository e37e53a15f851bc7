package collector

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"signalbox/internal/fault"
)

const (
	awaitLimit = 20 * time.Second
	awaitTick  = 10 * time.Millisecond
)

const renaming = `
receivers: {zipkin: {endpoint: ADDR}}
processors: {transform: {trace_statements: ['set(span.name, "NAME")']}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [transform]}}}`

// The new receiver takes the port of the old one.
func TestReloadOnTheSamePort(t *testing.T) {
	ctx, addr, st := context.Background(), freeTCP(t), newStore()
	r := run(t, parse(t, renaming, "ADDR", addr, "NAME", "one"), st.sinks())
	first := r.current
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	require.NoError(t, r.Apply(ctx, parse(t, renaming, "ADDR", addr, "NAME", "one")))
	require.Same(t, first, r.current, "nothing changed, nothing is touched")
	require.NoError(t, r.Apply(ctx, parse(t, renaming, "ADDR", addr, "NAME", "two")))
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	require.Equal(t, []string{"one", "two"}, st.spanNames())
	require.Equal(t, 1.0, r.value(t, "otelcol_receiver_accepted_spans"), "the counters are the new generation's")

	require.NoError(t, r.Apply(ctx, DefaultConfig()))
	_, err := net.Dial("tcp", addr)
	require.Error(t, err, "nothing listens")
	require.Zero(t, r.value(t, "signalbox_collector_pipelines"))
	require.NoError(t, r.Apply(ctx, parse(t, renaming, "ADDR", addr, "NAME", "three")))
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	require.Equal(t, "three", st.spanNames()[2])
	require.Equal(t, 3.0, r.value(t, "signalbox_collector_reloads_total", "changed"))
	require.Equal(t, 1.0, r.value(t, "signalbox_collector_reloads_total", "unchanged"))
}

// A bad file changes nothing, whether the fault is found by the checks, by the
// start of a processor, or only by the port.
func TestBadReloadKeepsTheOld(t *testing.T) {
	ctx, addr, st := context.Background(), freeTCP(t), newStore()
	good := `
receivers: {zipkin: {endpoint: ADDR}}
processors: {memory_limiter: {check_interval: 1s, limit_mib: 4000}, batch: {timeout: 1ms}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [memory_limiter, batch]}, traces/2: {receivers: [zipkin], processors: [memory_limiter]}}}`
	r := run(t, parse(t, good, "ADDR", addr), st.sinks())
	first := r.current
	for _, bad := range []string{
		`receivers: {zipkin: {endpoint: ADDR, nonsense: 1}}
service: {pipelines: {traces: {receivers: [zipkin]}}}`,
		`receivers: {zipkin: {endpoint: ADDR}}
processors: {tail_sampling: {policies: [{name: a, type: nonsense}]}}
service: {pipelines: {traces: {receivers: [zipkin], processors: [tail_sampling]}}}`,
	} {
		err := r.Apply(ctx, parse(t, bad, "ADDR", addr))
		require.Equal(t, fault.Invalid, fault.ClassOf(err), "%v", err)
		require.Same(t, first, r.current)
	}
	require.Equal(t, 2.0, r.value(t, "signalbox_collector_reloads_total", "invalid"))

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	err = r.Apply(ctx, parse(t, good, "ADDR", taken.Addr().String()))
	require.ErrorContains(t, err, "address already in use")
	require.ErrorContains(t, err, "the old pipelines run again")
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
	require.Equal(t, 1.0, r.value(t, "signalbox_collector_reloads_total", "failed"))

	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	st.await(t, func() bool { return len(st.spanNames()) == 2 })
	require.Equal(t, 2.0, r.value(t, "signalbox_collector_pipelines"))
}

func TestStartOnATakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	other := freeTCP(t)
	c, err := New(parse(t, `
receivers: {zipkin: {endpoint: TAKEN}, zipkin/2: {endpoint: OTHER}, statsd: {endpoint: UDP}}
service: {pipelines: {traces: {receivers: [zipkin, zipkin/2]}, metrics: {receivers: [statsd]}}}`, "TAKEN", taken.Addr().String(), "OTHER", other, "UDP", freeUDP(t)), newStore().sinks(), Options{})
	require.NoError(t, err)
	err = c.Start(context.Background())
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
	require.ErrorContains(t, err, "zipkin")
	_, err = net.Dial("tcp", other)
	require.Error(t, err, "nothing is left running")
	require.NoError(t, c.Stop(context.Background()))
	require.NoError(t, c.Stop(context.Background()))
	require.Error(t, c.Apply(context.Background(), DefaultConfig()))
	require.Error(t, c.Start(context.Background()))
}

// Before Start, Apply replaces the plan and opens nothing.
func TestApplyBeforeStart(t *testing.T) {
	addr, st := freeTCP(t), newStore()
	c, err := New(DefaultConfig(), st.sinks(), Options{})
	require.NoError(t, err)
	require.NoError(t, c.Apply(context.Background(), parse(t, zipkinOnly, "ADDR", addr)))
	require.Nil(t, c.current)
	require.NoError(t, c.Start(context.Background()))
	require.Equal(t, http.StatusAccepted, postZipkin(t, addr, zipkinSpan("a", "")))
	require.NoError(t, c.Stop(context.Background()))
	require.Equal(t, []string{"a"}, st.spanNames())
}

// Kafka without a broker: the receiver starts, waits for one and stops.
func TestKafkaWithoutBroker(t *testing.T) {
	run(t, parse(t, `
receivers: {kafka: {brokers: ["ADDR"], traces: {topics: [spans], encoding: zipkin_json}}}
service: {pipelines: {traces: {receivers: [kafka]}}}`, "ADDR", freeTCP(t)), newStore().sinks())
}

// Many clients while the configuration changes back and forth: each request
// that was answered 202 is in the store exactly once.
func TestClientsDuringReloads(t *testing.T) {
	ctx, addr, st := context.Background(), freeTCP(t), newStore()
	r := run(t, parse(t, renaming, "ADDR", addr, "NAME", "0"), st.sinks())
	accepted := make([]int, 4)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range accepted {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				ok, err := tryPost(client, addr)
				if err == nil && ok {
					accepted[i]++
				}
			}
		})
	}
	for i := range 8 {
		require.NoError(t, r.Apply(ctx, parse(t, renaming, "ADDR", addr, "NAME", fmt.Sprint(i))))
	}
	close(stop)
	wg.Wait()
	require.NoError(t, r.Stop(ctx))
	sum := 0
	for _, n := range accepted {
		sum += n
	}
	// A request whose answer was cut off by the swap may be stored and not counted.
	require.GreaterOrEqual(t, len(st.spanNames()), sum)
}

// After Stop no sink is called, even when a request is inside while it stops.
func TestStopWaitsForTheSink(t *testing.T) {
	addr := freeTCP(t)
	inside, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c, err := New(parse(t, zipkinOnly, "ADDR", addr), Sinks{Traces: func(context.Context, ptrace.Traces) error {
		close(inside)
		<-release
		close(left)
		return nil
	}}, Options{})
	require.NoError(t, err)
	require.NoError(t, c.Start(context.Background()))
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = tryPost(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, addr) })
	<-inside

	short, cancel := context.WithCancel(context.Background())
	cancel()
	g := c.current
	require.ErrorIs(t, c.Stop(short), context.Canceled, "bounded by its context")
	close(release)
	<-left
	wg.Wait()
	g.wg.Wait() // ends after the gate is closed
	_, err = g.delivery.gate.enter()
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
}

func tryPost(client *http.Client, addr string) (accepted bool, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+addr+"/api/v2/spans", strings.NewReader(zipkinSpan("a", "")))
	if err != nil {
		return false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusAccepted, resp.Body.Close()
}
