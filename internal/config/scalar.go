package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// ParseDuration reads a duration as Prometheus writes it (15d, 1h30m, 0) or as
// Go does (1.5s, -5m).
func ParseDuration(s string) (time.Duration, error) {
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, fmt.Errorf("the duration %q needs a unit, as in %ss", s, s)
	}
	return 0, fmt.Errorf("%q is not a duration; write it as 15s, 1h30m or 15d", s)
}

// FormatDuration writes a duration so that ParseDuration reads it back exactly.
func FormatDuration(d time.Duration) string {
	if d > 0 && d%time.Millisecond == 0 {
		return model.Duration(d).String()
	}
	return d.String()
}

// sizeUnits are powers of 1024 with and without the "i", as in Prometheus' own
// options, so that one file never holds two meanings of MB.
var sizeUnits = []struct {
	suffix string
	shift  uint
}{
	{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"PiB", 50}, {"EiB", 60},
	{"KB", 10}, {"MB", 20}, {"GB", 30}, {"TB", 40}, {"PB", 50}, {"EB", 60},
	{"B", 0},
}

// ParseBytes reads a number of bytes: 1024, 512MB, 1.5GiB. Units are powers of
// 1024 in any case of letters. The result is below 2^63.
func ParseBytes(s string) (int64, error) {
	num, shift := s, uint(0)
	for _, u := range sizeUnits {
		if n := len(s) - len(u.suffix); n > 0 && strings.EqualFold(s[n:], u.suffix) {
			num, shift = strings.TrimSpace(s[:n]), u.shift
			break
		}
	}
	if i, err := strconv.ParseInt(num, 10, 64); err == nil {
		if i > math.MaxInt64>>shift || i < math.MinInt64>>shift {
			return 0, fmt.Errorf("the size %q does not fit into 63 bits", s)
		}
		return i << shift, nil
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(num, "xXpP_") {
		return 0, fmt.Errorf("%q is not a size; write it as 1048576, 512MB or 1GiB", s)
	}
	f *= math.Exp2(float64(shift))
	if math.Abs(f) >= math.MaxInt64 {
		return 0, fmt.Errorf("the size %q does not fit into 63 bits", s)
	}
	if f != math.Trunc(f) {
		return 0, fmt.Errorf("the size %q is not a whole number of bytes", s)
	}
	return int64(f), nil
}

// FormatBytes writes a size with the largest unit that keeps it exact.
func FormatBytes(n int64) string {
	if n > 0 {
		for i := 5; i >= 0; i-- {
			if u := sizeUnits[i]; n%(1<<u.shift) == 0 {
				return strconv.FormatInt(n>>u.shift, 10) + u.suffix
			}
		}
	}
	return strconv.FormatInt(n, 10)
}

// isBytesKey says whether an integer under this key takes sizes.
func isBytesKey(key string) bool {
	return strings.HasSuffix(key, "bytes") || strings.HasSuffix(key, "_memory")
}

// TakesSizes says whether integers under a key of this name are numbers of
// bytes, which may be written with a unit.
func TakesSizes(key string) bool { return isBytesKey(key) }
