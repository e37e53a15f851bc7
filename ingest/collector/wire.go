package collector

import (
	"maps"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/service/pipelines"
)

// wire checks the pipelines against what is configured and completes them with
// our exporter.
func wire(p *plan, faults *problems, cfg *Config, sinks Sinks) {
	p.pipelines = pipelines.Config{}
	if len(cfg.Service.Pipelines) == 0 {
		faults.add("collector.service.pipelines", "no pipeline is configured, so nothing would be received; name at least one")
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Service.Pipelines)) {
		path := "collector.service.pipelines." + name
		var id pipeline.ID
		if err := id.UnmarshalText([]byte(name)); err != nil {
			faults.add(path, "%w", err)
			continue
		}
		sig, ok := signals[id.Signal()]
		if !ok || !sig.stored(sinks) {
			faults.add(path, "%s are not stored by this version", id.Signal())
			continue
		}
		pc := cfg.Service.Pipelines[name]
		out := &pipelines.PipelineConfig{Exporters: []component.ID{exporterID}}
		if len(pc.Receivers) == 0 {
			faults.add(path+".receivers", "name at least one receiver")
		}
		out.Receivers = refs(faults, path+".receivers", pc.Receivers, cfg.Receivers, "collector.receivers", func(t component.Type) bool {
			f, known := p.receiverFactories[t]
			return !known || sig.receives(f)
		}, id.Signal())
		out.Processors = refs(faults, path+".processors", pc.Processors, cfg.Processors, "collector.processors", func(t component.Type) bool {
			f, known := p.processorFactories[t]
			return !known || sig.processes(f)
		}, id.Signal())
		for _, e := range pc.Exporters {
			if e != exporterName {
				faults.add(path+".exporters", "%q is not known: every pipeline ends in %q, which stores the data in this program; leave the list out", e, exporterName)
			}
		}
		p.pipelines[id] = out
	}
}

// refs checks the names in one list of a pipeline: each is configured, fits the
// signal and stands once. What is wrong with a component itself is said elsewhere.
func refs(faults *problems, path string, names []string, configured Components, where string, fits func(component.Type) bool, sig pipeline.Signal) []component.ID {
	var ids []component.ID
	for _, name := range names {
		var id component.ID
		if err := id.UnmarshalText([]byte(name)); err != nil {
			faults.add(path, "%q: %w", name, err)
			continue
		}
		if !isConfigured(configured, id) {
			faults.add(path, "%q is not configured under %s", name, where)
			continue
		}
		if !fits(id.Type()) {
			faults.add(path, "%q does not handle %s", name, sig)
			continue
		}
		if slices.Contains(ids, id) {
			faults.add(path, "%q stands twice", name)
			continue
		}
		ids = append(ids, id)
	}
	return ids
}

func isConfigured(configured Components, want component.ID) bool {
	for name := range configured {
		var id component.ID
		if id.UnmarshalText([]byte(name)) == nil && id == want {
			return true
		}
	}
	return false
}
