package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/config"
)

// parseTime reads RFC 3339, seconds since 1970, "now", "now-1h" or "-1h".
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	rel := strings.TrimPrefix(s, "now")
	switch {
	case s == "now":
		return now, nil
	case strings.HasPrefix(rel, "-") || (rel != s && strings.HasPrefix(rel, "+")):
		if d, err := config.ParseDuration(rel[1:]); err == nil {
			if rel[0] == '-' {
				d = -d
			}
			return now.Add(d), nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	// Beyond ±1e11 it is not seconds of a year anyone means, but milliseconds.
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1e11 {
		sec, frac := math.Modf(f)
		return time.Unix(int64(sec), int64(math.Round(frac*1e3))*1e6), nil
	}
	return time.Time{}, usagef("%s %q is not a time; write it as 2026-01-31T15:04:05Z, 1767225600, now or -1h", flag, s)
}

// parseStep reads the distance of points: a duration, or a number of seconds.
func parseStep(s string) (time.Duration, error) {
	d, err := config.ParseDuration(s)
	if err != nil {
		if f, ferr := strconv.ParseFloat(s, 64); ferr == nil && f < 1e9 {
			d, err = time.Duration(f*float64(time.Second)), nil
		}
	}
	if err != nil || d < time.Millisecond {
		return 0, usagef("--step %q is not a duration of at least 1ms, such as 15s or 5m", s)
	}
	return d, nil
}

// niceSteps are the distances people expect between points.
var niceSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// stepFor gives a range at most 250 points at a nice distance.
func stepFor(d time.Duration) time.Duration {
	for _, s := range niceSteps {
		if d/s <= 250 {
			return s
		}
	}
	const day = 24 * time.Hour
	return (d/250/day + 1) * day //nolint:durationcheck // a count of days times a day
}

// stamp is a time as people read it, in the local zone.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02T15:04:05.999Z07:00") }
