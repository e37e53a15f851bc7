package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Raw is a section whose meaning belongs to a library: it stays YAML.
type Raw struct {
	node   *yaml.Node // aliases resolved, environment replaced where it is our part; nil when absent
	source *yaml.Node // as written, with ${env:NAME}: this is what Print shows
}

// IsZero says whether the section is absent.
func (r Raw) IsZero() bool { return r.node == nil }

// YAML returns the section as a document of its own, nil when absent.
func (r Raw) YAML() []byte {
	if r.node == nil {
		return nil
	}
	return encodeNode(r.node)
}

// MarshalYAML shows the section as it was written, secrets masked.
func (r Raw) MarshalYAML() (any, error) {
	if r.source == nil {
		return nil, nil
	}
	return maskNode(r.source), nil
}

func encodeNode(n *yaml.Node) []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(stripComments(n)); err != nil {
		panic("BUG: encode a decoded YAML node: " + err.Error())
	}
	return b.Bytes()
}

// stripComments copies a tree without its comments: moved to other places they
// mislead, and they may hold what nobody masked.
func stripComments(n *yaml.Node) *yaml.Node {
	c := *n
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, k := range n.Content {
		c.Content[i] = stripComments(k)
	}
	return &c
}

// scrapeKeys are Prometheus' own top-level keys.
var scrapeKeys = []string{"global", "scrape_configs", "scrape_config_files"}

// ScrapeDocument returns the document of Prometheus' own top-level keys
// (global, scrape_configs, scrape_config_files), nil when the file has none.
// Its lines are those of the file wherever that is possible, so that the
// library's errors name lines a person finds.
func (c *Config) ScrapeDocument() []byte {
	doc := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i, r := range []Raw{c.Global, c.ScrapeConfigs, c.ScrapeConfigFiles} {
		if !r.IsZero() {
			doc.Content = append(doc.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: scrapeKeys[i]}, r.node)
		}
	}
	if len(doc.Content) == 0 {
		return nil
	}
	if c.scrapeText != nil {
		return c.scrapeText
	}
	return encodeNode(doc)
}

// keepLines returns data with every line blanked that does not belong to one of
// the keys, or nil when that is not the same document as the expanded one
// (aliases, ${env:…} or a root in flow style).
func keepLines(data []byte, root *yaml.Node, keys []string) []byte {
	if root.Style&yaml.FlowStyle != 0 {
		return nil
	}
	wanted := map[string]bool{}
	for _, k := range keys {
		wanted[k] = true
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	keep := make([]bool, len(lines)+1)
	expect := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k := root.Content[i]
		if k.Column != 1 || k.Line < 1 || k.Line > len(lines) {
			return nil
		}
		if !wanted[k.Value] {
			continue
		}
		expect.Content = append(expect.Content, k, root.Content[i+1])
		end := len(lines) + 1
		if i+2 < len(root.Content) {
			end = root.Content[i+2].Line
		}
		for l := k.Line; l < end && l <= len(lines); l++ {
			keep[l] = true
		}
	}
	var out bytes.Buffer
	for i, l := range lines {
		if keep[i+1] {
			out.Write(l)
		} else if bytes.HasSuffix(l, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	var got yaml.Node
	if err := yaml.Unmarshal(out.Bytes(), &got); err != nil || len(got.Content) != 1 || !sameTree(got.Content[0], expect) {
		return nil
	}
	return out.Bytes()
}

// sameTree compares meaning: kinds, tags and values, not style or place.
func sameTree(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || len(a.Content) != len(b.Content) {
		return false
	}
	if a.Kind == yaml.ScalarNode && (a.Value != b.Value || a.ShortTag() != b.ShortTag()) {
		return false
	}
	for i := range a.Content {
		if !sameTree(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// child returns the value under key of a mapping, nil when absent.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// kindWord names what a node is, for people.
func kindWord(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return fmt.Sprintf("%q", n.Value)
	}
}
