package collector

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/processor/batchprocessor"

	"signalbox/internal/tenant"
)

// warn notes what is legal and probably not meant.
func warn(p *plan, cfg *Config) {
	used := map[string]bool{}
	for _, id := range slices.SortedFunc(maps.Keys(p.pipelines), compareText) {
		pl := p.pipelines[id]
		for _, r := range pl.Receivers {
			used["receivers."+r.String()] = true
		}
		for _, pr := range pl.Processors {
			used["processors."+pr.String()] = true
		}
		if slices.ContainsFunc(pl.Receivers, func(r component.ID) bool { return keepsMetadata(p.confs["receivers/"+r.String()].ToStringMap()) }) {
			warnTenants(p, pl.Processors)
		}
	}
	for kind, set := range map[string]Components{"receivers": cfg.Receivers, "processors": cfg.Processors} {
		for name := range set {
			if !used[kind+"."+name] {
				p.warnings = append(p.warnings, fmt.Sprintf("collector.%s.%s: no pipeline names it, so it is not started", kind, name))
			}
		}
	}
	slices.Sort(p.warnings)
	p.warnings = slices.Compact(p.warnings)
}

func compareText[T fmt.Stringer](a, b T) int { return strings.Compare(a.String(), b.String()) }

// warnTenants names the processors that join requests of several tenants: behind
// them the tenant of a request is gone and the default tenant gets the data.
func warnTenants(p *plan, processors []component.ID) {
	for _, id := range processors {
		path := "collector.processors." + id.String()
		switch c := p.processors[id].(type) {
		case *batchprocessor.Config:
			if !slices.ContainsFunc(c.MetadataKeys, func(k string) bool { return strings.EqualFold(k, tenant.Header) }) {
				p.warnings = append(p.warnings, fmt.Sprintf("%s: a receiver has include_metadata, but batches join tenants: add metadata_keys: [%s], or all data goes to the tenant %q", path, tenant.Header, tenant.Default))
			}
		default:
			if id.Type().String() == "tail_sampling" {
				p.warnings = append(p.warnings, fmt.Sprintf("%s: a receiver has include_metadata, but sampled traces lose their tenant and go to the tenant %q", path, tenant.Default))
			}
		}
	}
}

// keepsMetadata looks for include_metadata: true anywhere in the settings.
func keepsMetadata(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	for k, e := range m {
		if b, isBool := e.(bool); k == "include_metadata" && isBool && b || keepsMetadata(e) {
			return true
		}
	}
	return false
}
