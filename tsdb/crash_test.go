package tsdb

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
	"signalbox/internal/vfs"
)

// ackLog notes what was acknowledged, by series number and time.
type ackLog struct {
	mu    sync.Mutex
	acked map[string][]int64
	n     int
}

func (a *ackLog) add(series string, ts []int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acked[series] = append(a.acked[series], ts...)
	a.n += len(ts)
}

func (a *ackLog) snapshot() (map[string][]int64, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := map[string][]int64{}
	for k, v := range a.acked {
		m[k] = append([]int64(nil), v...)
	}
	return m, a.n
}

// writers commits small requests from several goroutines until stop is closed:
// new series, in-order samples and late ones.
func writers(t *testing.T, db *DB, log *ackLog, stop <-chan struct{}) *sync.WaitGroup {
	var wg sync.WaitGroup
	base := time.Now().UnixMilli()
	for w := range 4 {
		wg.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				ls := labels.FromStrings("__name__", "crash", "w", fmt.Sprint(w), "s", fmt.Sprint(i/8))
				ts := []int64{base + i, base + i - 60_000}
				app := db.AppenderV2(context.Background())
				ok := true
				for _, at := range ts {
					_, err := app.Append(0, ls, 0, at, float64(at), nil, nil, storage.AOptions{})
					ok = ok && err == nil
				}
				if err := app.Commit(); err == nil && ok {
					log.add(ls.String(), ts)
				}
			}
		})
	}
	return &wg
}

// missing counts acknowledged samples that are not in db, or have another value.
func missing(t *testing.T, db *DB, acked map[string][]int64) (n int) {
	got := read(t, db, context.Background())
	for series, ts := range acked {
		have := map[int64]uint64{}
		for _, p := range got[series] {
			have[p.T] = p.V
		}
		for _, at := range ts {
			if have[at] != math.Float64bits(float64(at)) {
				n++
			}
		}
	}
	return n
}

// losePower runs writers until some thousand samples are acknowledged, cuts the
// power, and returns how many of them are gone after a restart.
func losePower(t *testing.T, walSync string, seed uint64) (lost, acked int) {
	dir, after := t.TempDir(), filepath.Join(t.TempDir(), "after")
	shadow := vfs.NewShadow(dir)
	defer shadow.Close()
	db := open(t, dir, func(c *Config) { c.WALSync = walSync }, Options{FS: shadow})
	log := &ackLog{acked: map[string][]int64{}}
	stop := make(chan struct{})
	wg := writers(t, db, log, stop)
	require.Eventually(t, func() bool { _, n := log.snapshot(); return n > 3000 }, time.Minute, time.Millisecond)
	want, n := log.snapshot()
	loss := vfs.ShadowLoss{StrictNames: true}
	if seed != 0 {
		loss.Rand = rand.New(rand.NewPCG(seed, seed))
	}
	require.NoError(t, shadow.LosePower(after, loss))
	close(stop)
	wg.Wait()
	db2 := open(t, after, nil, Options{})
	return missing(t, db2, want), n
}

func TestPowerCutWithSyncAlwaysLosesNothingAcknowledged(t *testing.T) {
	for seed := range uint64(4) { // 0: nothing unsynced survives; others: torn tails
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			lost, acked := losePower(t, SyncAlways, seed)
			require.Zero(t, lost, "of %d acknowledged samples", acked)
		})
	}
}

func TestPowerCutTestCanFail(t *testing.T) {
	lost, acked := losePower(t, SyncPage, 0)
	require.Equal(t, acked, lost, "without syncs the power cut must take everything, or the test above proves nothing")
}

func TestTornLogLosesOnlyWhatIsBehindTheTear(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir, nil, Options{})
	ls := labels.FromStrings("__name__", "m")
	base := time.Now().UnixMilli()
	for i := range int64(200) {
		put(t, db, context.Background(), ls, base+i)
	}
	require.NoError(t, db.Close())
	wal := filepath.Join(dir, tenantsDir, string(tenant.Default), "metrics", "wal")
	names, err := os.ReadDir(wal)
	require.NoError(t, err)
	var segment string
	for _, n := range names {
		if info, err := n.Info(); err == nil && isSegment(n.Name()) && info.Size() > 0 {
			segment = filepath.Join(wal, n.Name())
		}
	}
	require.NotEmpty(t, segment)
	require.NoError(t, os.Truncate(segment, 3000), "in the middle of the records; pages are 32 KiB")

	db = open(t, dir, nil, Options{})
	got := read(t, db, context.Background())[ls.String()]
	require.NotEmpty(t, got)
	require.Less(t, len(got), 200)
	for i, p := range got {
		require.Equal(t, base+int64(i), p.T, "a prefix, without holes")
	}
	put(t, db, context.Background(), ls, base+1000)
	require.Len(t, read(t, db, context.Background())[ls.String()], len(got)+1)
}

// smallDisk mounts a memory disk of a few megabytes, or uses a quota-like limit
// on file size where mounting is not allowed.
func smallDisk(t *testing.T, size string) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Logf("no small disk can be mounted here (%v): the guard is tested by its own threshold only", err)
		return ""
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

func TestFullDiskRefusesWritesServesReadsAndRecovers(t *testing.T) {
	dir := smallDisk(t, "64m")
	if dir == "" {
		return
	}
	f := func(minFree uint64) {
		data := filepath.Join(dir, fmt.Sprint("data", minFree))
		db := open(t, data, func(c *Config) { c.MinFreeBytes = minFree; c.MaxExemplars = 0 }, Options{})
		log := &ackLog{acked: map[string][]int64{}}
		stop := make(chan struct{})
		wg := writers(t, db, log, stop)
		require.Eventually(t, func() bool { _, n := log.snapshot(); return n > 500 }, time.Minute, time.Millisecond)

		// Somebody else fills the disk to the last byte, under load.
		ballast := filepath.Join(dir, "ballast")
		b, err := os.Create(ballast)
		require.NoError(t, err)
		chunk := make([]byte, 1<<16)
		for err == nil {
			_, err = b.Write(chunk)
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NoError(t, b.Close())

		var werr error
		require.Eventually(t, func() bool {
			app := db.AppenderV2(context.Background())
			_, werr = app.Append(0, labels.FromStrings("__name__", "probe"), 0, time.Now().UnixMilli(), 1, nil, nil, storage.AOptions{})
			if werr == nil {
				werr = app.Commit()
			} else {
				_ = app.Rollback()
			}
			return werr != nil
		}, time.Minute, time.Millisecond)
		require.Equal(t, fault.Unavailable, fault.ClassOf(werr), "%v", werr)
		want, n := log.snapshot()
		require.Zero(t, missing(t, db, want), "reads go on, of %d", n)

		require.NoError(t, os.Remove(ballast))
		require.Eventually(t, func() bool {
			_, before := log.snapshot()
			time.Sleep(time.Millisecond)
			_, after := log.snapshot()
			return after > before && before > n
		}, time.Minute, time.Millisecond, "writes are taken again once space returns")
		close(stop)
		wg.Wait()

		want, n = log.snapshot()
		require.Zero(t, missing(t, db, want), "of %d", n)
		require.NoError(t, db.Close())
		db = open(t, data, nil, Options{})
		require.Zero(t, missing(t, db, want), "after a restart, of %d", n)
		require.NoError(t, db.Close())
		require.NoError(t, os.RemoveAll(data))
	}
	f(8 << 20) // the guard refuses
	f(0)       // the log itself meets the full disk
}

func TestSpaceGuardNamesTheOption(t *testing.T) {
	db := open(t, t.TempDir(), func(c *Config) { c.MinFreeBytes = math.MaxUint64 }, Options{})
	_, err := db.AppenderV2(context.Background()).Append(0, labels.FromStrings("__name__", "m"), 0, 1, 1, nil, nil, storage.AOptions{})
	require.Equal(t, fault.Unavailable, fault.ClassOf(err))
	require.Equal(t, "disk_full", fault.ReasonOf(err))
	require.ErrorContains(t, err, "storage.min_free_bytes")
}

func TestFailedSyncIsNotAcknowledgedAndMends(t *testing.T) {
	var sw vfs.Switch
	fs := vfs.NewFaulty(vfs.OS{}, vfs.OnOps(sw.Script, vfs.OpSyncPath))
	db := open(t, t.TempDir(), func(c *Config) { c.WALSync = SyncAlways }, Options{FS: fs})
	ls := labels.FromStrings("__name__", "m")
	base := time.Now().UnixMilli()
	put(t, db, context.Background(), ls, base)
	sw.Set(vfs.ErrIO)
	app := db.AppenderV2(context.Background())
	_, err := app.Append(0, ls, 0, base+1, 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.Equal(t, fault.Unavailable, fault.ClassOf(app.Commit()))
	_, err = db.AppenderV2(context.Background()).Append(0, ls, 0, base+2, 1, nil, nil, storage.AOptions{})
	require.Equal(t, fault.Unavailable, fault.ClassOf(err), "no write is taken until the store was opened anew")
	sw.Set(nil)
	require.Eventually(t, func() bool {
		app := db.AppenderV2(context.Background())
		if _, err := app.Append(0, ls, 0, base+3, float64(base+3), nil, nil, storage.AOptions{}); err != nil {
			return app.Rollback() != nil
		}
		return app.Commit() == nil
	}, time.Minute, 10*time.Millisecond)
	require.Zero(t, missing(t, db, map[string][]int64{ls.String(): {base, base + 3}}))
}
