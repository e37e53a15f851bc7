package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Config is the section "collector": receivers, processors and pipelines as the
// OpenTelemetry Collector spells them. Exporters are never written, every
// pipeline ends in our stores.
type Config struct {
	// Receivers are the doors to open, by "type" or "type/name", each with the settings of that receiver.
	Receivers Components `yaml:"receivers,omitempty"`
	// Processors are the steps that pipelines may name, by "type" or "type/name", each with its settings.
	Processors Components `yaml:"processors,omitempty"`
	// Exporters stays empty: every pipeline ends in the exporter "signalbox", which needs no settings.
	Exporters Components `yaml:"exporters,omitempty"`
	// Connectors stays empty: this version has none.
	Connectors Components `yaml:"connectors,omitempty"`
	// Extensions stays empty: this version has none.
	Extensions Components `yaml:"extensions,omitempty"`
	// Service says which receivers and processors form pipelines.
	Service ServiceConfig `yaml:"service,omitempty"`
}

// ServiceConfig is the part of the section that starts things: a receiver that
// no pipeline names is not started.
type ServiceConfig struct {
	// Pipelines are the paths of data, by "metrics", "traces" or "logs", or such a word with "/name".
	Pipelines map[string]PipelineConfig `yaml:"pipelines,omitempty"`
	// Extensions stays empty: this version has none.
	Extensions []string `yaml:"extensions,omitempty"`
	// Telemetry stays empty: log lines and metrics of the pipelines are part of the program's own.
	Telemetry map[string]any `yaml:"telemetry,omitempty"`
}

// PipelineConfig is one path from receivers to our store.
type PipelineConfig struct {
	// Receivers are the names of the receivers that feed the pipeline, at least one.
	Receivers []string `yaml:"receivers"`
	// Processors are the names of the processors, in the order in which data passes them.
	Processors []string `yaml:"processors,omitempty"`
	// Exporters may be left out; "signalbox" is the only one.
	Exporters []string `yaml:"exporters,omitempty"`
}

// Components are the settings of receivers or processors by their names. They
// are kept as they were written, with ${env:NAME} in place; printing them shows
// stars for secrets.
type Components map[string]any

// DefaultConfig returns the configuration of a program that uses no part of the
// Collector.
func DefaultConfig() Config { return Config{} }

// Parse decodes the section from a YAML document of its own. Unknown keys are
// errors; an empty document is DefaultConfig.
func Parse(doc []byte) (Config, error) {
	cfg := DefaultConfig()
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	dec.KnownFields(true)
	if err := dec.Decode(&cfg); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("collector: %w", err)
	}
	return cfg, nil
}

// Empty reports whether the section asks for nothing, so that nothing is started.
func (c *Config) Empty() bool {
	return len(c.Receivers) == 0 && len(c.Processors) == 0 && len(c.Exporters) == 0 &&
		len(c.Connectors) == 0 && len(c.Extensions) == 0 &&
		len(c.Service.Pipelines) == 0 && len(c.Service.Extensions) == 0 && len(c.Service.Telemetry) == 0
}

// Validate checks the section without opening anything: every receiver and
// processor is decoded, checked and built, and every pipeline is wired. The
// error joins all faults, each with its YAML path from "collector". Whether this
// program stores the signal of a pipeline is known to New, not here.
func (c *Config) Validate() (warnings []string, err error) {
	p, err := compile(context.Background(), *c, anySinks())
	return p.warnings, err
}
