package httpserver

import (
	"context"
	"errors"
	"net/http"

	"signalbox/internal/fault"
	"signalbox/internal/tenant"
)

// tenantHeader is the key of tenant.Header in an http.Header.
var tenantHeader = http.CanonicalHeaderKey(tenant.Header)

// context returns ctx with the tenants that the header's values name. The error
// is ErrNoTenant, or Invalid with the reason "bad_tenant".
func (t Tenancy) context(ctx context.Context, values []string) (context.Context, error) {
	if !t.Enabled {
		return ctx, nil
	}
	switch {
	case len(values) > 1:
		// Which of them a proxy in front has checked is unknown.
		return nil, fault.Refuse("bad_tenant", "%s: the header is there %d times", tenant.Header, len(values))
	case len(values) == 0 || values[0] == "":
		if t.Required {
			return nil, fault.New(fault.Invalid, "%w", ErrNoTenant).WithReason("no_tenant")
		}
		return ctx, nil
	}
	ids, err := tenant.ParseList(values[0])
	if err != nil {
		return nil, err
	}
	return tenant.NewContext(ctx, ids...), nil
}

func tenantReason(err error) string {
	if errors.Is(err, ErrNoTenant) {
		return "no_tenant"
	}
	return "bad_tenant"
}
