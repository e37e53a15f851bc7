package config

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	f := func(in string, want time.Duration) {
		t.Helper()
		got, err := ParseDuration(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	f("15d", 360*time.Hour)
	f("1h30m", 90*time.Minute)
	f("1y", 365*24*time.Hour)
	f("2w", 14*24*time.Hour)
	f("0", 0)
	f("0s", 0)
	f("1.5s", 1500*time.Millisecond)
	f("250us", 250*time.Microsecond)
	f("-5m", -5*time.Minute)
	for _, bad := range []string{"", "15", "1.5d", "d", "1h 30m", "30m1h30m1", "999999999y", "ten", "1e9s"} {
		_, err := ParseDuration(bad)
		require.Error(t, err, bad)
	}
}

func TestParseBytes(t *testing.T) {
	f := func(in string, want int64) {
		t.Helper()
		got, err := ParseBytes(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	f("0", 0)
	f("1024", 1024)
	f("-1", -1)
	f("512MB", 512<<20)
	f("512 MiB", 512<<20)
	f("1GiB", 1<<30)
	f("1gib", 1<<30)
	f("1.5KiB", 1536)
	f("100B", 100)
	f("7EiB", 7<<60)
	f("1e6", 1_000_000)
	for _, bad := range []string{"", "B", "MB", "1XB", "8EiB", "99999999999999999999", "1.3B", "NaN", "Inf", "0x10", "1_000", "1 2MB", "9223372036854775808"} {
		_, err := ParseBytes(bad)
		require.Error(t, err, bad)
	}
}

func TestUnitsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(math.MinInt64, math.MaxInt64).Draw(t, "duration"))
		got, err := ParseDuration(FormatDuration(d))
		require.NoError(t, err)
		require.Equal(t, d, got, FormatDuration(d))

		n := rapid.Int64().Draw(t, "bytes") << rapid.IntRange(0, 40).Draw(t, "shift")
		back, err := ParseBytes(FormatBytes(n))
		require.NoError(t, err)
		require.Equal(t, n, back, FormatBytes(n))
	})
}

func TestNearest(t *testing.T) {
	keys := []string{"path", "wal_sync", "max_series", "max_series_per_metric", "retention"}
	f := func(in, want string) {
		t.Helper()
		require.Equal(t, want, Nearest(in, keys))
	}
	f("pth", "path")
	f("walsync", "wal_sync")
	f("WAL-Sync", "wal_sync")
	f("max_serie", "max_series")
	f("maxSeriesPerMetric", "max_series_per_metric")
	f("retnetion", "retention")
	f("elephant", "")
	f("", "")
}
