// Package tenant names the owner of data. A tenant travels in the context from
// the door a request came through to the store that keeps it.
package tenant

import (
	"context"
	"strings"

	"signalbox/internal/fault"
)

// Header is the HTTP header, and in lower case the gRPC metadata key, that
// selects the tenant of a request.
const Header = "X-Scope-OrgID"

// ID names a tenant. It is a folder name on disk and a label value in our own
// metrics, so only what Parse accepts is ever stored.
type ID string

// Default is the tenant of a request that names none.
const Default ID = "default"

const maxLen = 150

// Parse checks one tenant name: 1 to 150 of a-z A-Z 0-9 and ! - _ . * ' ( ),
// and neither "." nor "..". These are the characters Loki, Tempo and Mimir allow.
func Parse(s string) (ID, error) {
	if s == "" {
		return "", fault.Refuse("bad_tenant", "%s: the tenant name is empty", Header)
	}
	if len(s) > maxLen {
		return "", fault.Refuse("bad_tenant", "%s: the tenant name has %d bytes, the limit is %d", Header, len(s), maxLen)
	}
	if s == "." || s == ".." {
		return "", fault.Refuse("bad_tenant", "%s: %q is not a tenant name", Header, s)
	}
	for i := range len(s) {
		c := s[i]
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!-_.*'()", c) >= 0
		if !ok {
			return "", fault.Refuse("bad_tenant", "%s: %q has the character %q; letters, digits and ! - _ . * ' ( ) are allowed", Header, s, c)
		}
	}
	return ID(s), nil
}

// ParseList checks a list of tenants as reads may name them: "a|b".
// Repeated names count once; the order is kept.
func ParseList(s string) ([]ID, error) {
	var ids []ID
	for part := range strings.SplitSeq(s, "|") {
		id, err := Parse(part)
		if err != nil {
			return nil, err
		}
		known := false
		for _, have := range ids {
			known = known || have == id
		}
		if !known {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

type key struct{}

// NewContext returns a context whose request belongs to ids. Writes need
// exactly one, reads may have several.
func NewContext(ctx context.Context, ids ...ID) context.Context {
	return context.WithValue(ctx, key{}, ids)
}

// One returns the tenant that a write belongs to: Default when the context
// names none, an error when it names several.
func One(ctx context.Context) (ID, error) {
	ids, _ := ctx.Value(key{}).([]ID)
	switch len(ids) {
	case 0:
		return Default, nil
	case 1:
		return ids[0], nil
	}
	return "", fault.Refuse("bad_tenant", "%s: this request needs one tenant and names %d", Header, len(ids))
}

// All returns the tenants that a read covers, at least one.
func All(ctx context.Context) []ID {
	if ids, _ := ctx.Value(key{}).([]ID); len(ids) > 0 {
		return ids
	}
	return []ID{Default}
}
