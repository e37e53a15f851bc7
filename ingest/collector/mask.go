package collector

import (
	"fmt"
	"strings"
)

const stars = "********"

// MarshalYAML returns the settings with stars in place of secrets. References
// such as ${env:NAME} are no secrets and stay.
func (c Components) MarshalYAML() (any, error) {
	if c == nil {
		return map[string]any(nil), nil
	}
	return mask(map[string]any(c), false), nil
}

// secretWords mark the keys whose values are hidden. The Collector's components
// spell their secrets in these ways; hiding one setting too many is harmless.
var secretWords = []string{"password", "passwd", "secret", "token", "api_key", "access_key", "private_key", "key_pem", "authorization", "credential"}

func isSecretKey(key string) bool {
	key = strings.ToLower(key)
	for _, w := range secretWords {
		if strings.Contains(key, w) {
			return true
		}
	}
	return false
}

// mask copies a tree; below a secret key every scalar is hidden.
func mask(v any, secret bool) any {
	switch v := normalize(v).(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			// A mapping of headers may carry credentials under any name.
			_, isMap := normalize(e).(map[string]any)
			out[k] = mask(e, secret || isSecretKey(k) || (isMap && strings.HasSuffix(strings.ToLower(k), "headers")))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = mask(e, secret)
		}
		return out
	case nil, bool:
		return v
	case string:
		if !secret || v == "" || (strings.HasPrefix(v, "${") && strings.Index(v, "}") == len(v)-1) {
			return v
		}
		return stars
	default:
		if secret {
			return stars
		}
		return v
	}
}

// normalize turns the mappings a YAML decoder may produce into map[string]any,
// one level deep; other values pass.
func normalize(v any) any {
	switch m := v.(type) {
	case Components:
		return map[string]any(m)
	case map[any]any:
		out := make(map[string]any, len(m))
		for k, e := range m {
			out[fmt.Sprint(k)] = e
		}
		return out
	}
	return v
}

// normalizeDeep does the same for a whole tree and copies it.
func normalizeDeep(v any) any {
	switch m := normalize(v).(type) {
	case map[string]any:
		out := make(map[string]any, len(m))
		for k, e := range m {
			out[k] = normalizeDeep(e)
		}
		return out
	case []any:
		out := make([]any, len(m))
		for i, e := range m {
			out[i] = normalizeDeep(e)
		}
		return out
	default:
		return m
	}
}
