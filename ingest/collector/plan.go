package collector

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/pipelines"
)

// plan is a configuration that was expanded, decoded and checked, ready to be
// built any number of times.
type plan struct {
	parts
	confs     map[string]*confmap.Conf // settings after expansion, by "receivers/<id>" and "processors/<id>"
	pipelines pipelines.Config
	warnings  []string
}

// parts are what one service is built from. Factories and some components
// remember each other by the address of a configuration, so every service needs
// parts of its own.
type parts struct {
	receivers          map[component.ID]component.Config
	receiverFactories  map[component.Type]receiver.Factory
	processors         map[component.ID]component.Config
	processorFactories map[component.Type]processor.Factory
}

func newParts() parts {
	return parts{
		receivers:          map[component.ID]component.Config{},
		receiverFactories:  receiverFactories(),
		processors:         map[component.ID]component.Config{},
		processorFactories: processorFactories(),
	}
}

func (p *plan) empty() bool { return len(p.pipelines) == 0 }

func (p *plan) same(q *plan) bool {
	return reflect.DeepEqual(p.settings(), q.settings()) && reflect.DeepEqual(p.pipelines, q.pipelines)
}

func (p *plan) settings() map[string]any {
	out := make(map[string]any, len(p.confs))
	for k, c := range p.confs {
		out[k] = c.ToStringMap()
	}
	return out
}

// fresh decodes the settings once more, for a service of its own. Neither the
// environment nor files are read again.
func (p *plan) fresh() (parts, error) {
	out := newParts()
	var errs []error
	for id, c := range p.receivers {
		if id == muteID {
			out.receivers[id], out.receiverFactories[id.Type()] = c, newMuteFactory()
			continue
		}
		errs = append(errs, again(out.receivers, out.receiverFactories, id, p.confs["receivers/"+id.String()]))
	}
	for id := range p.processors {
		errs = append(errs, again(out.processors, out.processorFactories, id, p.confs["processors/"+id.String()]))
	}
	return out, errors.Join(errs...)
}

func again[F component.Factory](into map[component.ID]component.Config, factories map[component.Type]F, id component.ID, conf *confmap.Conf) error {
	c := factories[id.Type()].CreateDefaultConfig()
	err := conf.Unmarshal(&c)
	into[id] = c
	return err
}

// compile turns a configuration into a plan. It opens nothing. The plan is never
// nil, its warnings count even beside an error, which joins all faults.
func compile(ctx context.Context, cfg Config, sinks Sinks) (*plan, error) {
	p, err := decode(ctx, cfg, sinks)
	if err != nil || p.empty() {
		return p, err
	}
	return p, rehearse(ctx, p)
}

// decode is compile without the trial build.
func decode(ctx context.Context, cfg Config, sinks Sinks) (*plan, error) {
	p := &plan{}
	if cfg.Empty() {
		return p, nil
	}
	p.parts, p.confs = newParts(), map[string]*confmap.Conf{}
	var faults problems
	refuseUnsupported(&cfg, &faults)
	decodeAll(ctx, p, &faults, "receivers", cfg.Receivers, p.receivers, p.receiverFactories)
	decodeAll(ctx, p, &faults, "processors", cfg.Processors, p.processors, p.processorFactories)
	wire(p, &faults, &cfg, sinks)
	if len(faults.list) == 0 {
		warn(p, &cfg)
	}
	return p, faults.err()
}

// refuseUnsupported says why the parts of a Collector's file that have no
// meaning here are not taken.
func refuseUnsupported(cfg *Config, faults *problems) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Exporters)) {
		body, _ := normalize(cfg.Exporters[name]).(map[string]any)
		switch {
		case name != exporterName:
			faults.add("collector.exporters."+name, "every pipeline ends in the stores of this program; there are no other exporters, remove it")
		case cfg.Exporters[name] != nil && len(body) == 0 && body == nil, len(body) > 0:
			faults.add("collector.exporters."+name, "this exporter has no settings")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Connectors)) {
		faults.add("collector.connectors."+name, "this version has no connectors")
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Extensions)) {
		faults.add("collector.extensions."+name, "this version has no extensions")
	}
	if len(cfg.Service.Extensions) > 0 {
		faults.add("collector.service.extensions", "this version has no extensions")
	}
	if len(cfg.Service.Telemetry) > 0 {
		faults.add("collector.service.telemetry", "log lines and metrics of the pipelines are part of the program's own; there is nothing to configure")
	}
}

// decodeAll decodes and checks the settings of all receivers or processors.
func decodeAll[F component.Factory](ctx context.Context, p *plan, faults *problems, kind string, bodies Components, out map[component.ID]component.Config, factories map[component.Type]F) {
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		path := "collector." + kind + "." + name
		var id component.ID
		if err := id.UnmarshalText([]byte(name)); err != nil {
			faults.add(path, "%w", err)
			continue
		}
		factory, ok := factories[id.Type()]
		if !ok {
			faults.add(path, "this build has no %s of type %q; it has %s", kind[:len(kind)-1], id.Type(), typeNames(factories))
			continue
		}
		conf, err := resolve(ctx, bodies[name], func(v string) {
			p.warnings = append(p.warnings, path+": the environment variable "+v+" is not set, its value is taken as empty")
		})
		if err != nil {
			faults.addComponent(path, err)
			continue
		}
		p.confs[kind+"/"+id.String()] = conf
		c := factory.CreateDefaultConfig()
		unknownKeys(faults, path, reflect.TypeOf(c), conf.ToStringMap())
		if err := conf.Unmarshal(&c); err != nil {
			faults.addComponent(path, err)
			continue
		}
		if err := confmap.Validate(c); err != nil {
			faults.addComponent(path, err)
			continue
		}
		out[id] = c
	}
}
