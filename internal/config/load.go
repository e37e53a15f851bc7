package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 32 << 20

// Load reads, decodes and validates the file at path; "" means no file, only
// defaults. The overrides (the command line's) are applied before validation.
//
// The error joins every fault, each with its line and YAML path (see Faults);
// the Config is nil then. Warnings are whole sentences.
func Load(path string, overrides ...func(*Config)) (*Config, []string, error) {
	if path == "" {
		return Parse("", nil, overrides...)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration file (--config.file): %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration file (--config.file): %w", err)
	}
	if len(data) > maxFile {
		return nil, nil, fmt.Errorf("the configuration file %s is larger than %s", path, FormatBytes(maxFile))
	}
	return Parse(path, data, overrides...)
}

// Parse is Load for bytes already in memory. name is the file's path: it is
// shown in errors, and relative paths in the file start at its folder.
func Parse(name string, data []byte, overrides ...func(*Config)) (*Config, []string, error) {
	c := Default()
	if name != "" {
		c.baseDir = filepath.Dir(name)
	}
	root, warnings, faults := c.decode(data)
	if root == nil && len(faults) > 0 {
		return nil, nil, finish(name, nil, faults)
	}
	for _, o := range overrides {
		o(c)
	}
	c.resolvePaths()
	more, err := c.Validate()
	warnings = append(warnings, more...)
	faults = append(faults, Faults(err)...)
	if len(faults) > 0 {
		return nil, warnings, finish(name, root, faults)
	}
	return c, warnings, nil
}

// decode sets c from data. A nil root with faults means: not YAML at all.
func (c *Config) decode(data []byte) (root *yaml.Node, warnings []string, faults []error) {
	doc, err := parseYAML(data)
	if err != nil {
		return nil, nil, []error{err}
	}
	if doc == nil {
		return &yaml.Node{Kind: yaml.MappingNode}, nil, nil
	}
	e := expander{env: os.LookupEnv, budget: 10*len(data) + 1000}
	root, err = e.copy(doc, "", 0, true)
	if err != nil {
		return nil, nil, []error{err}
	}
	src := expander{budget: 10*len(data) + 1000}
	source, err := src.copy(doc, "", 0, false)
	if err != nil {
		return nil, nil, []error{err}
	}
	d := decoder{source: source, elsewhere: everyKey(reflect.TypeFor[Config]()), faults: e.faults}
	d.value("", "", root, reflect.ValueOf(c).Elem())
	if t := child(root, "tenants"); t != nil {
		c.decodeTenants(&d, t)
	}
	c.scrapeText = keepLines(data, root, scrapeKeys)
	return root, e.warns, d.faults
}

// decodeTenants decodes `tenants` once `limits` is known, wherever the two
// stand in the file: every tenant starts from the limits, and only the keys
// written for it change.
func (c *Config) decodeTenants(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if n.ShortTag() != "!!null" {
			d.fault(n, "tenants", "want a mapping of tenant names, got %s", kindWord(n))
		}
		return
	}
	c.Tenants = make(Tenants, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		lim := c.Limits
		d.value("tenants."+name, name, n.Content[i+1], reflect.ValueOf(&lim).Elem())
		c.Tenants[name] = lim
	}
}

// parseYAML returns the one document of data, nil for an empty one.
func parseYAML(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxFault(err)
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxFault(err)
	default:
		return nil, &Fault{Line: second.Line, Err: errors.New("a second YAML document starts here; a configuration is one document")}
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

var yamlErrorLine = regexp.MustCompile(`^line (\d+): `)

// syntaxFault takes the line out of a parser's error.
func syntaxFault(err error) *Fault {
	f := &Fault{}
	text := cleanYAMLError(err)
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	f.Err = fmt.Errorf("not valid YAML: %s", text)
	return f
}

// cleanYAMLError drops the prefixes that say only which library spoke.
func cleanYAMLError(err error) string {
	if te, ok := errors.AsType[*yaml.TypeError](err); ok {
		return strings.Join(te.Errors, "; ")
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}

// finish gives every fault its file and line, and joins them in file order.
func finish(name string, root *yaml.Node, faults []error) error {
	for i, err := range faults {
		var f *Fault
		if !errors.As(err, &f) {
			f = &Fault{Err: err}
		}
		if f.File == "" {
			f.File = name
		}
		if f.Line == 0 && root != nil {
			f.Line = lineOf(root, f.Path)
		}
		faults[i] = f
	}
	slices.SortStableFunc(faults, func(a, b error) int {
		return cmp.Compare(a.(*Fault).Line, b.(*Fault).Line) //nolint:errorlint,forcetypeassert // made so above
	})
	return errors.Join(faults...)
}
