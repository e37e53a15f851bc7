package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait; nothing here asserts on how long things take.
const patience = 90 * time.Second

var binary string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "signalbox-e2e")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "signalbox")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/signalbox") // as `make build` does
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// server is a running signalbox.
type server struct {
	t        *testing.T
	dir      string
	cmd      *exec.Cmd
	http     string // host:port
	otlpGRPC string
	otlpHTTP string
	log      *logBuffer
	done     chan struct{}
	exit     error
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.WriteString(line + "\n")
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var readyLine = regexp.MustCompile(`\bready\b.*\bhttp=.*`)
var address = regexp.MustCompile(`(http|otlp_http|otlp_grpc)=(\S+)`)

// start runs the binary on dir with a configuration ("" for none) and waits
// until it is ready.
func start(t *testing.T, dir, config string, args ...string) *server {
	t.Helper()
	s, err := launch(t, dir, config, args...)
	require.NoError(t, err)
	return s
}

func launch(t *testing.T, dir, config string, args ...string) (*server, error) {
	t.Helper()
	args = append([]string{
		"serve", "--storage.path", dir, "--http.listen", "127.0.0.1:0",
		"--otlp.grpc.listen", "127.0.0.1:0", "--otlp.http.listen", "127.0.0.1:0",
	}, args...)
	if config != "" {
		file := filepath.Join(t.TempDir(), "signalbox.yml")
		require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
		args = append(args, "--config.file", file)
	}
	s := &server{t: t, dir: dir, cmd: exec.Command(binary, args...), log: &logBuffer{}, done: make(chan struct{})}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		defer close(s.done)
		sc := bufio.NewScanner(out)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			s.log.add(sc.Text())
			if m := readyLine.FindString(sc.Text()); m != "" {
				select {
				case ready <- m:
				default:
				}
			}
		}
		s.exit = s.cmd.Wait()
	}()
	t.Cleanup(s.kill)
	select {
	case line := <-ready:
		for _, m := range address.FindAllStringSubmatch(line, -1) {
			switch m[1] {
			case "http":
				s.http = m[2]
			case "otlp_http":
				s.otlpHTTP = m[2]
			case "otlp_grpc":
				s.otlpGRPC = m[2]
			}
		}
		require.NotEmpty(t, s.http, line)
		return s, nil
	case <-s.done:
		return s, fmt.Errorf("it stopped: %w\n%s", s.exit, s.log)
	case <-time.After(patience):
		return s, fmt.Errorf("not ready:\n%s", s.log)
	}
}

// kill ends the process as a power switch would end it for the process.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// stop ends it gracefully and returns how it exited.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		return s.exit
	case <-time.After(patience):
		return fmt.Errorf("did not stop:\n%s", s.log)
	}
}

func (s *server) url(path string) string { return "http://" + s.http + path }

// do sends one request and returns status and body.
func (s *server) do(method, path, contentType string, body []byte, headers ...string) (int, string, http.Header) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url(path), bytes.NewReader(body))
	require.NoError(s.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(b), resp.Header
}

func (s *server) get(path string) (int, string) {
	s.t.Helper()
	code, body, _ := s.do("GET", path, "", nil)
	return code, body
}

// answer is the part of a query's result that tests look at.
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Metric    map[string]string `json:"metric"`
			Value     [2]any            `json:"value"`
			Values    [][2]any          `json:"values"`
			Histogram []any             `json:"histogram"`
		} `json:"result"`
	} `json:"data"`
}

// query asks for an instant vector.
func (s *server) query(q string, headers ...string) answer {
	s.t.Helper()
	return s.ask("/api/v1/query?query="+url.QueryEscape(q), headers...)
}

func (s *server) ask(path string, headers ...string) answer {
	s.t.Helper()
	code, body, _ := s.do("GET", path, "", nil, headers...)
	require.Equal(s.t, 200, code, body)
	var a answer
	require.NoError(s.t, json.Unmarshal([]byte(body), &a), body)
	require.Equal(s.t, "success", a.Status, body)
	return a
}

// await asks until the vector has at least n elements.
func (s *server) await(q string, n int, headers ...string) answer {
	s.t.Helper()
	var a answer
	s.eventually(func() bool { a = s.query(q, headers...); return len(a.Data.Result) >= n }, q)
	return a
}

func (s *server) eventually(ok func() bool, what string) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("never came true: %s\n%s", what, s.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// counter reads one of the server's own counters from /metrics, 0 when absent.
func (s *server) counter(name string, labels ...string) float64 {
	s.t.Helper()
	code, body := s.get("/metrics")
	require.Equal(s.t, 200, code)
	p := expfmt.NewTextParser(model.UTF8Validation)
	fams, err := p.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(s.t, err)
	var sum float64
	f := fams[name]
	for _, m := range f.GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		match := true
		for i := 0; i+1 < len(labels); i += 2 {
			match = match && have[labels[i]] == labels[i+1]
		}
		if match {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// program starts another program for the length of the test.
func program(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "install it: .ci/run lists the packages")
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, out.String())
		}
	})
}
