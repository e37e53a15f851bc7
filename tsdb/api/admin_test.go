package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"signalbox/tsdb/promql"
)

func TestAdmin(t *testing.T) {
	s := serve(t, func(c *Config, _ *promql.Config, _ *Options) { c.EnableAdmin = true })
	fill(t, s)
	const path = "/api/v1/admin/tsdb/"
	require.Equal(t, 400, s.do(t, http.MethodPost, path+"delete_series", nil).status)
	// A bad selector beside a good one: nothing is deleted.
	got := s.do(t, http.MethodPost, path+"delete_series", url.Values{"match[]": {"up", "{"}})
	require.Equal(t, 400, got.status)
	require.Equal(t, 400, s.do(t, http.MethodPost, path+"delete_series?match[]=up&start=2&end=1", nil).status)
	require.Contains(t, s.get(t, "/api/v1/query?query=count(up)&time=1760000000").body, `"2"`)

	got = s.do(t, http.MethodPut, path+"delete_series?"+url.Values{"match[]": {`up{instance="a"}`}}.Encode(), nil)
	require.Equal(t, http.StatusNoContent, got.status, got.body)
	require.Empty(t, got.body)
	require.Contains(t, s.get(t, "/api/v1/query?query=count(up)&time=1760000000").body, `"1"`)

	require.Equal(t, http.StatusNoContent, s.do(t, http.MethodPost, path+"clean_tombstones", nil).status)
	require.Equal(t, 400, s.do(t, http.MethodPost, path+"snapshot?skip_head=x", nil).status)
	got = s.do(t, http.MethodPost, path+"snapshot", nil)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Regexp(t, `^\{"status":"success","data":\{"name":"\d{8}T\d{6}Z-[0-9a-f]{16}"\}\}$`, got.body)
}

func TestAdminDisabled(t *testing.T) {
	s := serve(t, nil)
	for _, p := range []string{"delete_series?match[]=up", "clean_tombstones", "snapshot"} {
		got := s.do(t, http.MethodPost, "/api/v1/admin/tsdb/"+p, nil)
		require.Equal(t, 500, got.status)
		e := got.asError(t)
		require.Equal(t, "unavailable", e.ErrorType)
		require.Contains(t, e.Error, "admin APIs disabled")
	}
}

func TestLifecycle(t *testing.T) {
	var reloads, quits atomic.Int32
	fail := errors.New("line 3: no such key")
	hooks := func(o *Options) {
		o.Reload = func(context.Context) error {
			if reloads.Add(1) > 1 {
				return fail
			}
			return nil
		}
		o.Quit = func() { quits.Add(1) }
	}
	s := serve(t, func(c *Config, _ *promql.Config, o *Options) { c.EnableLifecycle = true; hooks(o) })
	require.Equal(t, http.StatusOK, s.do(t, http.MethodPost, "/-/reload", nil).status)
	got := s.do(t, http.MethodPut, "/-/reload", nil)
	require.Equal(t, http.StatusInternalServerError, got.status)
	require.Contains(t, got.body, fail.Error())
	require.Equal(t, http.StatusOK, s.do(t, http.MethodPost, "/-/quit", nil).status)
	require.Equal(t, int32(1), quits.Load())

	off := serve(t, func(_ *Config, _ *promql.Config, o *Options) { hooks(o) })
	for _, p := range []string{"/-/reload", "/-/quit"} {
		require.Equal(t, http.StatusForbidden, off.do(t, http.MethodPost, p, nil).status)
	}
	require.Equal(t, int32(1), quits.Load())
	require.Equal(t, int32(2), reloads.Load())
}

func TestConfig(t *testing.T) {
	cfg := DefaultConfig()
	warnings, err := cfg.Validate()
	require.NoError(t, err)
	require.Empty(t, warnings)
	_, err = (&Config{}).Validate()
	for _, name := range []string{"max_listed", "max_body_bytes", "remote_read_max_samples", "remote_read_max_queries", "remote_read_max_concurrent", "remote_read_max_frame_bytes", "federate_max_series"} {
		require.ErrorContains(t, err, name)
	}
}
