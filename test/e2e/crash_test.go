package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load writes by remote write from several connections until stop is closed and
// counts the samples that were acknowledged, series by series.
type load struct {
	wg    sync.WaitGroup
	stop  chan struct{}
	acked [4]atomic.Int64
	base  int64
}

const perRequest = 50

// startLoad begins a load; round makes its series its own.
func startLoad(t *testing.T, s *server, round int) *load {
	l := &load{stop: make(chan struct{}), base: time.Now().UnixMilli() - 600_000}
	client := &http.Client{Timeout: patience}
	for w := range l.acked {
		l.wg.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				ts := series("load", 0, 0, "round", strconv.Itoa(round), "w", strconv.Itoa(w))
				ts.Samples = ts.Samples[:0]
				for k := range int64(perRequest) {
					smp := series("", float64(i*perRequest+k), l.base+i*perRequest+k).Samples[0]
					ts.Samples = append(ts.Samples, smp)
				}
				req := encode(t, ts)
				resp, err := client.Post(s.url("/api/v1/write"), protobuf, bytes.NewReader(req))
				if err != nil {
					if i > 0 {
						i-- // the same again: senders repeat
					}
					select {
					case <-l.stop:
						return
					case <-time.After(time.Millisecond):
					}
					continue
				}
				_ = resp.Body.Close()
				if resp.StatusCode == 204 {
					l.acked[w].Store((i + 1) * perRequest)
				} else {
					i--
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return l
}

func (l *load) total() (n int64) {
	for w := range l.acked {
		n += l.acked[w].Load()
	}
	return n
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// check counts what the server has of a round's acknowledged samples.
func (l *load) check(t *testing.T, s *server, round int, acked [4]int64) {
	t.Helper()
	for w, n := range acked {
		if n == 0 {
			continue
		}
		at := float64(l.base+n-1) / 1000
		// Every value from 0 to n-1 once: their count and their sum say so.
		q := fmt.Sprintf(`load{round="%d",w="%d"}[1h]`, round, w)
		count := s.ask(fmt.Sprintf("/api/v1/query?time=%.3f&query=count_over_time(%s)", at, q))
		require.Len(t, count.Data.Result, 1, "writer %d: %d samples acknowledged", w, n)
		require.Equal(t, strconv.FormatInt(n, 10), count.Data.Result[0].Value[1], "writer %d", w)
		sum := s.ask(fmt.Sprintf("/api/v1/query?time=%.3f&query=sum_over_time(%s)", at, q))
		require.Equal(t, strconv.FormatInt(n*(n-1)/2, 10), sum.Data.Result[0].Value[1], "writer %d", w)
	}
}

func (l *load) snapshot() (a [4]int64) {
	for w := range l.acked {
		a[w] = l.acked[w].Load()
	}
	return a
}

func TestKillNineUnderLoadLosesNothingAcknowledged(t *testing.T) {
	for _, sync := range []string{"page", "always"} {
		t.Run(sync, func(t *testing.T) {
			dir := t.TempDir()
			config := "storage: {wal_sync: " + sync + "}"
			type past struct {
				l     *load
				acked [4]int64
			}
			var rounds []past
			for round := range 3 {
				s := start(t, dir, config)
				for r, p := range rounds {
					p.l.check(t, s, r, p.acked)
				}
				l := startLoad(t, s, round)
				s.eventually(func() bool { return l.total() > 20_000 }, "20,000 samples acknowledged")
				s.kill()
				l.end()
				rounds = append(rounds, past{l, l.snapshot()})
			}
			s := start(t, dir, config)
			var total int64
			for r, p := range rounds {
				p.l.check(t, s, r, p.acked)
				for _, n := range p.acked {
					total += n
				}
			}
			t.Logf("%d samples acknowledged before 3 kills, all there", total)
			require.NoError(t, s.stop())
		})
	}
}

func TestTornLogOfTheRealBinary(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "")
	now := time.Now().UnixMilli()
	for i := range int64(100) {
		code, body := s.write(series("m", float64(i), now+i))
		require.Equal(t, 204, code, body)
	}
	s.kill()
	segs, err := filepath.Glob(filepath.Join(dir, "tenants/default/metrics/wal/0*"))
	require.NoError(t, err)
	last := segs[len(segs)-1]
	info, err := os.Stat(last)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(last, info.Size()-7), "the last record is torn")

	s = start(t, dir, "")
	a := s.ask(fmt.Sprintf("/api/v1/query?query=count_over_time(m[5m])&time=%.3f", float64(now+100)/1000))
	require.Len(t, a.Data.Result, 1)
	n, err := strconv.Atoi(a.Data.Result[0].Value[1].(string))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, 90)
	require.Positive(t, s.counter("signalbox_tsdb_log_repairs_total"))
	code, body := s.write(series("m", 1, now+1000))
	require.Equal(t, 204, code, body)
}

func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=96m"); err != nil {
		t.Logf("no small disk can be mounted here: %v", err)
		return
	}
	defer func() { require.NoError(t, syscall.Unmount(disk, syscall.MNT_DETACH)) }()
	dir := filepath.Join(disk, "data")
	config := "storage: {min_free_bytes: 16MiB, max_exemplars: 0}"
	s := start(t, dir, config)
	now := time.Now().UnixMilli()
	code, body := s.write(series("before", 1, now))
	require.Equal(t, 204, code, body)

	ballast := filepath.Join(disk, "ballast")
	require.Error(t, fill(ballast))
	var header http.Header
	s.eventually(func() bool {
		code, body, header = s.do("POST", "/api/v1/write", protobuf, encode(t, series("during", 1, time.Now().UnixMilli())))
		return code == 503
	}, "writes are refused")
	require.Contains(t, body, "storage.min_free_bytes")
	require.NotEmpty(t, header.Get("Retry-After"))
	require.Len(t, s.query("before").Data.Result, 1, "reads go on")
	require.Positive(t, s.counter("signalbox_ingest_samples_refused_total", "door", "remote_write", "reason", "disk_full"))

	require.NoError(t, os.Remove(ballast))
	s.eventually(func() bool { code, _ := s.write(series("after", 1, time.Now().UnixMilli())); return code == 204 }, "writes return with the space")
	s.kill()
	s = start(t, dir, config)
	require.Len(t, s.query("before").Data.Result, 1)
	require.Len(t, s.query("after").Data.Result, 1)
	require.NoError(t, s.stop())
}

func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
}

func TestTwoProcessesOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "")
	_, err := launch(t, dir, "")
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, fmt.Sprint(s.cmd.Process.Pid))
	require.ErrorContains(t, err, "storage.path")
	code, _ := s.get("/-/healthy")
	require.Equal(t, 200, code, "the first one is unharmed")
}

func TestConfigurationFaultsAreAllToldBeforeAnythingStarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	_, err := launch(t, dir, "storrage: {}\nlimits: {max_series: -1}\nquery: {timeout: sometimes}\n")
	require.ErrorContains(t, err, "storrage")
	require.ErrorContains(t, err, "storage", "the key that was meant")
	_, serr := os.Stat(dir)
	require.ErrorIs(t, serr, os.ErrNotExist)
}

func TestReloadAndGracefulStop(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "limits: {max_labels: 2}")
	file := s.cmd.Args[len(s.cmd.Args)-1]
	now := time.Now().UnixMilli()
	three := series("m", 1, now, "a", "1", "b", "2")
	refused := func() float64 {
		return s.counter("signalbox_ingest_samples_refused_total", "door", "remote_write", "reason", "too_many_labels")
	}
	s.write(three)
	require.EqualValues(t, 1, refused())

	require.NoError(t, os.WriteFile(file, []byte("limits: {max_labels: minus one}"), 0o600))
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
	s.eventually(func() bool { return bytes.Contains([]byte(s.log.String()), []byte("max_labels")) }, "a bad file is told")
	s.write(three)
	require.EqualValues(t, 2, refused(), "and changes nothing")

	require.NoError(t, os.WriteFile(file, []byte("limits: {max_labels: 30}"), 0o600))
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
	s.eventually(func() bool {
		before := refused()
		three.Samples[0].Timestamp = time.Now().UnixMilli()
		s.write(three)
		return refused() == before
	}, "the good file is in force")
	require.NotEmpty(t, s.query("m").Data.Result)

	require.NoError(t, s.stop())
	s = start(t, dir, "")
	require.NotEmpty(t, s.query("m").Data.Result)
}

func TestCommandLine(t *testing.T) {
	s := start(t, t.TempDir(), "")
	s.await(`signalbox_build_info`, 1)
	out, err := exec.Command(binary, "query", "promql", "1+1", "--url", "http://"+s.http).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "2")
	out, err = exec.Command(binary, "query", "promql", "sum(signalbox_build_info)", "--since", "5m", "--url", "http://"+s.http).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(binary, "query", "promql", "sum(", "--url", "http://"+s.http).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "parse error")
	out, err = exec.Command(binary, "query", "promql", "1", "--url", "http://127.0.0.1:1").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "127.0.0.1:1")
}
