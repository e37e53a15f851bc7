package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds nesting; no real file comes near it.
const maxDepth = 100

// expander copies a YAML tree with aliases and merge keys resolved, and, where
// asked, ${env:NAME} replaced in scalars. Replacement happens after parsing, so
// a value of the environment can never change the shape of the file.
type expander struct {
	env    func(string) (string, bool) // nil: leave ${env:NAME} as it stands
	budget int                         // nodes that may still be made: stops an alias bomb
	faults []error
	warns  []string
}

// rawEnv are the sections that a library expands for itself.
func rawEnv(path string) bool { return path == "collector" }

// foreign names the sections in which "${1}" has a meaning of its own.
func foreign(path string) bool {
	for _, k := range []string{"collector", "global", "scrape_configs", "scrape_config_files"} {
		if path == k || strings.HasPrefix(path, k+".") || strings.HasPrefix(path, k+"[") {
			return true
		}
	}
	return false
}

func (e *expander) fault(n *yaml.Node, path string, err error) {
	e.faults = append(e.faults, &Fault{Line: n.Line, Path: path, Err: err})
}

// errTooBig ends an expansion; it is reported once.
var errTooBig = errors.New("the file is nested too deeply or its aliases repeat too much")

func (e *expander) copy(n *yaml.Node, path string, depth int, env bool) (*yaml.Node, error) {
	e.budget--
	if e.budget < 0 || depth > maxDepth {
		return nil, &Fault{Line: n.Line, Path: path, Err: errTooBig}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return e.copy(n.Alias, path, depth+1, env)
	case yaml.MappingNode:
		return e.mapping(n, path, depth, env)
	case yaml.SequenceNode:
		c := shell(n)
		for i, item := range n.Content {
			v, err := e.copy(item, path+"["+strconv.Itoa(i)+"]", depth+1, env)
			if err != nil {
				return nil, err
			}
			c.Content = append(c.Content, v)
		}
		return c, nil
	case yaml.ScalarNode:
		c := shell(n)
		e.scalar(c, path, env)
		return c, nil
	default:
		return nil, &Fault{Line: n.Line, Path: path, Err: fmt.Errorf("unexpected YAML node of kind %d", n.Kind)}
	}
}

func shell(n *yaml.Node) *yaml.Node {
	c := *n
	c.Anchor, c.Alias, c.Content = "", nil, nil
	return &c
}

func (e *expander) mapping(n *yaml.Node, path string, depth int, env bool) (*yaml.Node, error) {
	c := shell(n)
	seen := map[string]bool{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			e.fault(k, path, errors.New("a key must be a plain word"))
			continue
		}
		if k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		p := join(path, k.Value)
		if seen[k.Value] {
			e.fault(k, p, errors.New("this key stands twice; remove one"))
			continue
		}
		seen[k.Value] = true
		val, err := e.copy(v, p, depth+1, env && !rawEnv(p))
		if err != nil {
			return nil, err
		}
		key := shell(k)
		key.Line = n.Content[i].Line
		c.Content = append(c.Content, key, val)
	}
	for _, m := range merges {
		if err := e.merge(c, m, seen, path, depth, env); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// merge adds the keys of a "<<" value that the mapping does not have itself.
func (e *expander) merge(c, m *yaml.Node, seen map[string]bool, path string, depth int, env bool) error {
	src, err := e.copy(m, path, depth+1, env)
	if err != nil {
		return err
	}
	list := []*yaml.Node{src}
	if src.Kind == yaml.SequenceNode {
		list = src.Content
	}
	for _, from := range list {
		if from.Kind != yaml.MappingNode {
			e.fault(m, path, errors.New("<< needs a mapping, or a list of mappings"))
			continue
		}
		for i := 0; i+1 < len(from.Content); i += 2 {
			if k := from.Content[i]; !seen[k.Value] {
				seen[k.Value] = true
				c.Content = append(c.Content, k, from.Content[i+1])
			}
		}
	}
	return nil
}

var (
	envRef  = regexp.MustCompile(`\$?\$\{env:([^}]*)\}`)
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	bareRef = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// scalar replaces ${env:NAME} and ${env:NAME:-default}; $${env:NAME} stays as
// ${env:NAME}.
func (e *expander) scalar(n *yaml.Node, path string, env bool) {
	if !env || e.env == nil || !strings.Contains(n.Value, "${") {
		return
	}
	if m := bareRef.FindStringSubmatch(n.Value); m != nil && !foreign(path) {
		e.warns = append(e.warns, fmt.Sprintf("%s: %s is not replaced; write ${env:%s} for the environment variable", path, m[0], m[1]))
	}
	out := envRef.ReplaceAllStringFunc(n.Value, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		name, def, hasDef := strings.Cut(ref[len("${env:"):len(ref)-1], ":-")
		if !envName.MatchString(name) {
			e.fault(n, path, fmt.Errorf("%s: %q is not the name of an environment variable", ref, name))
			return ""
		}
		v, ok := e.env(name)
		switch {
		case ok && (v != "" || !hasDef):
			return v
		case hasDef:
			return def
		}
		e.fault(n, path, fmt.Errorf("the environment variable %s is not set; set it, or write ${env:%s:-default}", name, name))
		return ""
	})
	if out == n.Value {
		return
	}
	n.Value = out
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Style&yaml.TaggedStyle == 0 {
		n.Tag = "" // a plain scalar is what its new text looks like: a number, true, …
	}
}
