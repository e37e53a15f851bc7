package e2e

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Debian's promtool, which asks as client_golang does.
func TestPromtool(t *testing.T) {
	s := start(t, t.TempDir(), "")
	code, body := s.write(series("m", 42, time.Now().UnixMilli(), "shop", "zurich"))
	require.Equal(t, 204, code, body)
	s.await("m", 1)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"query", "instant", s.url(""), "m"}, `m{shop="zurich"} => 42`},
		{[]string{"query", "range", "--step=15s", s.url(""), "m"}, `m{shop="zurich"} =>`},
		{[]string{"query", "series", "--match=m", s.url("")}, `{__name__="m", shop="zurich"}`},
		{[]string{"query", "labels", s.url(""), "shop"}, "zurich"},
	} {
		out, err := exec.Command("promtool", c.args...).CombinedOutput()
		require.NoError(t, err, "%v: %s", c.args, out)
		require.Contains(t, string(out), c.says, "%v", c.args)
	}
	out, err := exec.Command("promtool", "query", "instant", s.url(""), "sum(").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "parse error")
}
