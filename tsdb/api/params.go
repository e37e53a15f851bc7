package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// maxSeconds is the largest time whose milliseconds fit an int64.
const maxSeconds = math.MaxInt64 / 1000

// parseTime reads Unix seconds, with a fraction, or RFC 3339. Far years are
// times: Grafana asks for the year 57000 to see whether exemplars are known.
func parseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > maxSeconds {
			return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
		}
		sec, frac := math.Modf(f)
		ms := math.Round(frac * 1000)
		return time.Unix(int64(sec), int64(ms)*int64(time.Millisecond)).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	// client_golang sends these two as text, with years that time.Parse refuses.
	switch s {
	case v1.MinTime.Format(time.RFC3339Nano):
		return v1.MinTime, nil
	case v1.MaxTime.Format(time.RFC3339Nano):
		return v1.MaxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
}

// parseSeconds reads a duration, as number of seconds or as "5m", in seconds.
func parseSeconds(s string) (float64, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > math.MaxInt64/float64(time.Second) {
			return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
		}
		return f, nil
	}
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
	}
	return time.Duration(d).Seconds(), nil
}

// timeRange reads start and end, by default everything, in Unix milliseconds.
func timeRange(form url.Values) (mint, maxt int64, bad *refusal) {
	start, end := v1.MinTime, v1.MaxTime
	var err error
	if s := form.Get("start"); s != "" {
		if start, err = parseTime(s); err != nil {
			return 0, 0, badParameter("start", err)
		}
	}
	if s := form.Get("end"); s != "" {
		if end, err = parseTime(s); err != nil {
			return 0, 0, badParameter("end", err)
		}
	}
	if end.Before(start) {
		return 0, 0, badParameter("end", errors.New("end timestamp must not be before start time"))
	}
	return start.UnixMilli(), end.UnixMilli(), nil
}

// maxPoints is how many steps a range query may have.
const maxPoints = 11000

// checkParams refuses values that Prometheus' API would turn into nonsense:
// NaN and infinite times, and ranges so long that their steps overflow.
// Whatever else is wrong with a parameter the library says.
func checkParams(form url.Values) *refusal {
	for _, name := range []string{"time", "start", "end"} {
		if s := form.Get(name); s != "" {
			if _, err := parseTime(s); err != nil {
				return badParameter(name, err)
			}
		}
	}
	for _, name := range []string{"timeout", "lookback_delta", "step"} {
		if s := form.Get(name); s != "" {
			if _, err := parseSeconds(s); err != nil {
				return badParameter(name, err)
			}
		}
	}
	return nil
}

func checkRange(form url.Values) *refusal {
	start, err1 := parseTime(form.Get("start"))
	end, err2 := parseTime(form.Get("end"))
	step, err3 := parseSeconds(form.Get("step"))
	if err1 != nil || err2 != nil || err3 != nil || step <= 0 {
		return nil // the library's answer is the one clients know
	}
	// In floats, because a time.Duration ends at 292 years.
	if (float64(end.UnixMilli())-float64(start.UnixMilli()))/1000/step > maxPoints+1 {
		return &refusal{"parameter", http.StatusBadRequest,
			errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")}
	}
	return nil
}

// capLimit makes n the limit of a listing that asks for more, or for all.
func capLimit(form url.Values, n int) {
	limit, err := strconv.Atoi(form.Get("limit"))
	if form.Get("limit") != "" && (err != nil || limit < 0 || 0 < limit && limit <= n) {
		return
	}
	form.Set("limit", strconv.Itoa(n))
}
