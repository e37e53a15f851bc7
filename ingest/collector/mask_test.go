package collector

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// Whatever stands below a secret key is hidden, at any depth; everything else
// is printed as it was.
func TestMaskProperty(t *testing.T) {
	const secret = "hunter2"
	key := rapid.SampledFrom([]string{"endpoint", "auth", "sasl", "topics", "tls"})
	secretKey := rapid.SampledFrom([]string{"password", "SASL_Password", "client_secret", "bearer_token", "api_key", "secret_access_key"})
	var tree func(t *rapid.T, depth int) (given, want any)
	tree = func(t *rapid.T, depth int) (any, any) {
		if depth == 0 || rapid.Bool().Draw(t, "leaf") {
			v := rapid.SampledFrom([]any{"text", 7, true, nil, "${env:X}"}).Draw(t, "value")
			return v, v
		}
		if rapid.Bool().Draw(t, "list") {
			g, w := tree(t, depth-1)
			return []any{g, "x"}, []any{w, "x"}
		}
		given, want := map[string]any{}, map[string]any{}
		k := key.Draw(t, "key")
		given[k], want[k] = tree(t, depth-1)
		if rapid.Bool().Draw(t, "secret") {
			k := secretKey.Draw(t, "secret key")
			if rapid.Bool().Draw(t, "nested") {
				given[k], want[k] = map[string]any{"a": []any{secret}}, map[string]any{"a": []any{stars}}
			} else {
				given[k], want[k] = secret, stars
			}
		}
		return given, want
	}
	rapid.Check(t, func(t *rapid.T) {
		given, want := tree(t, 5)
		out, err := yaml.Marshal(Config{Receivers: Components{"kafka": given}})
		require.NoError(t, err)
		require.NotContains(t, string(out), secret)
		got, err := Parse(out)
		require.NoError(t, err)
		if diff := cmp.Diff(want, normalizeDeep(got.Receivers["kafka"])); diff != "" {
			t.Fatal(diff)
		}
	})
}
