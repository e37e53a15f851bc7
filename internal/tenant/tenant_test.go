package tenant

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
)

func TestParse(t *testing.T) {
	for _, ok := range []string{"a", "team-1", "A.b_c!*'()", strings.Repeat("x", 150)} {
		id, err := Parse(ok)
		require.NoError(t, err)
		require.Equal(t, ID(ok), id)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "a\\b", "a b", "a|b", "ü", "a\x00", strings.Repeat("x", 151)} {
		_, err := Parse(bad)
		require.Error(t, err, "%q", bad)
		require.Equal(t, fault.Invalid, fault.ClassOf(err))
		require.Equal(t, "bad_tenant", fault.ReasonOf(err))
	}
}

func TestContext(t *testing.T) {
	ctx := context.Background()
	one, err := One(ctx)
	require.NoError(t, err)
	require.Equal(t, Default, one)
	require.Equal(t, []ID{Default}, All(ctx))

	ids, err := ParseList("a|b|a")
	require.NoError(t, err)
	require.Equal(t, []ID{"a", "b"}, ids)
	ctx = NewContext(ctx, ids...)
	require.Equal(t, ids, All(ctx))
	_, err = One(ctx)
	require.Error(t, err)
	_, err = ParseList("a||b")
	require.Error(t, err)
}
