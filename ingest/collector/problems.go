package collector

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"go.opentelemetry.io/collector/confmap"

	"signalbox/internal/fault"
)

// problems gathers everything that is wrong with a configuration.
type problems struct{ list []error }

// add notes one fault at a YAML path below "collector".
func (p *problems) add(path, format string, args ...any) {
	p.list = append(p.list, fault.New(fault.Invalid, "%s: %w", path, fmt.Errorf(format, args...)))
}

func (p *problems) err() error { return errors.Join(p.list...) }

var (
	// a::b: why                           (the checks)
	checkAt = regexp.MustCompile(`^([a-z0-9_/-]+(?:::[a-z0-9_/-]+)*): (.+)$`)
	// the decoder names the inside of a part that decodes itself by its Go type
	goType = regexp.MustCompile(`^\w+\.[A-Z]\w*(?:::)?`)
	// failed to start "x" processor: why  (the service)
	partAt = regexp.MustCompile(`failed to (?:create|start) "([^"]+)" (receiver|processor)(?:, in pipeline "[^"]*")?: (.+)$`)
)

// addComponent notes what the Collector says about the settings of one
// component, a fault for every thing that is wrong, each with its own path.
func (p *problems) addComponent(path string, err error) {
	switch e := err.(type) { //nolint:errorlint // the tree is walked node by node
	case *mapstructure.DecodeError:
		at := below(path, dotted(e.Name()))
		if !isNode(e.Unwrap()) {
			p.add(at, "%s", strings.Join(strings.Fields(e.Unwrap().Error()), " "))
			return
		}
		p.addComponent(at, e.Unwrap())
		return
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			p.addComponent(path, one)
		}
		return
	}
	if isNode(err) {
		p.addComponent(path, errors.Unwrap(err))
		return
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if m := checkAt.FindStringSubmatch(line); m != nil {
			p.add(below(path, dotted(m[1])), "%s", m[2])
			continue
		}
		p.add(path, "%s", line)
	}
}

// isNode reports whether an error of the decoder only gathers others.
func isNode(err error) bool {
	switch err.(type) { //nolint:errorlint // the node itself is asked for
	case *mapstructure.DecodeError, interface{ Unwrap() []error }:
		return true
	}
	return errors.Unwrap(err) != nil && strings.HasPrefix(err.Error(), "decoding failed due to the following error(s)")
}

func dotted(sub string) string {
	return strings.ReplaceAll(goType.ReplaceAllString(sub, ""), confmap.KeyDelimiter, ".")
}

// addBuild notes why a service could not be built or started; the fault is put
// at the component, where the error names one.
func (p *problems) addBuild(err error) {
	text := err.Error()
	if m := partAt.FindStringSubmatch(text); m != nil {
		p.add("collector."+m[2]+"s."+m[1], "%s", m[3])
		return
	}
	p.add("collector.service.pipelines", "%w", err)
}

func below(path, sub string) string {
	if sub == "" {
		return path
	}
	return path + "." + sub
}
