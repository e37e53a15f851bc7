//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signalbox/internal/testkit"
)

// process is `signalbox serve` as a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // of its log, closed at its end
	seen  []string
}

func startServe(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	args = append([]string{"serve", "--storage.path", t.TempDir(), "--http.listen", "127.0.0.1:0",
		"--otlp.grpc.listen", "127.0.0.1:0", "--otlp.http.listen", "127.0.0.1:0"}, args...)
	p := &process{t: t, cmd: exec.CommandContext(ctx, os.Args[0], args...), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), runMain+"=1")
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		for range p.lines {
		}
		_ = p.cmd.Wait()
	})
	return p
}

// await reads the log up to a line that matches.
func (p *process) await(expr string) []string {
	p.t.Helper()
	re := regexp.MustCompile(expr)
	for line := range p.lines {
		p.seen = append(p.seen, line)
		if m := re.FindStringSubmatch(line); m != nil {
			return m
		}
	}
	p.t.Fatalf("the process ended without a line like %q:\n%s", expr, strings.Join(p.seen, "\n"))
	return nil
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// exit waits for the end of the process and returns its code.
func (p *process) exit() int {
	p.t.Helper()
	for line := range p.lines {
		p.seen = append(p.seen, line)
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func TestServeAnswersReloadsAndStops(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sb.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("host_metrics: {enabled: false}\nself_metrics: {interval: 1s}\n")
	p := startServe(t, "--config.file", file)
	addr := "http://" + p.await(`ready.* http=(\S+)`)[1]

	ask := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(append([]string{"query", "promql", "--url", addr}, args...), &out, &errs)
		return code, out.String(), errs.String()
	}
	code, out, errs := ask("1 + 1")
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "2\n", out)
	testkit.Eventually(t, 30*time.Second, func() bool {
		_, out, _ = ask("signalbox_build_info")
		return strings.Contains(out, "signalbox_build_info{")
	})
	code, out, errs = ask("rate(process_cpu_seconds_total[10s])", "--since", "5m", "--output", "csv")
	require.Equal(t, exitOK, code, errs)
	require.Regexp(t, "^(__name__,)?.*timestamp,value\n", out)
	code, _, errs = ask("sum(up")
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `1:7: parse error: .*\n  sum\(up\n        \^\n$`, errs)
	testkit.Eventually(t, 30*time.Second, func() bool { // needs two samples
		_, _, errs = ask("rate(signalbox_build_info[1m])")
		return strings.Contains(errs, "info: PromQL info: metric might not be a counter")
	})

	// A bad file changes nothing, a good one is taken over.
	write("sotrage: {}\n")
	p.signal(syscall.SIGHUP)
	p.await(`did you mean .*storage`)
	write("limits: {max_series: 12345}\n")
	p.signal(syscall.SIGHUP)
	p.await(`configuration reloaded`)
	require.NoError(t, p.cmd.Process.Signal(syscall.Signal(0)))

	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.exit(), strings.Join(p.seen, "\n"))
}

func TestServeSaysWhyItDoesNotStart(t *testing.T) {
	p := startServe(t, "--http.listen", "nowhere")
	require.Equal(t, exitFailed, p.exit())
	require.Contains(t, strings.Join(p.seen, "\n"), `signalbox: http.listen: "nowhere" is not an address`)

	first := startServe(t)
	addr := first.await(`ready.* http=(\S+)`)[1]
	second := startServe(t, "--http.listen", addr)
	require.Equal(t, exitFailed, second.exit())
	require.Contains(t, strings.Join(second.seen, "\n"), "http.listen")
	first.signal(os.Interrupt)
	require.Equal(t, 0, first.exit(), strings.Join(first.seen, "\n"))
}
