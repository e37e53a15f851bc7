package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// field is one YAML key of a struct; keys of inlined structs count as its own.
type field struct {
	name  string
	index []int
	typ   reflect.Type
	// omitEmpty leaves the key out of Print when the value is zero.
	omitEmpty bool
}

// fieldsOf lists the keys of a struct in the order of its source.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if !sf.IsExported() || name == "-" {
			continue
		}
		if strings.Contains(opts, "inline") {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				out = append(out, f)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		out = append(out, field{name: name, index: []int{i}, typ: sf.Type, omitEmpty: strings.Contains(opts, "omitempty")})
	}
	return out
}

func findField(fields []field, name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// everyKey maps each key below t to the paths where it is known.
func everyKey(t reflect.Type) map[string][]string {
	out := map[string][]string{}
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		if t.Kind() != reflect.Struct || t == rawType || t == nodeType || ownDecoding(t) {
			return
		}
		for _, f := range fieldsOf(t) {
			p := join(path, f.name)
			out[f.name] = append(out[f.name], p)
			walk(p, f.typ)
		}
	}
	walk("", t)
	return out
}

// lineOf finds the line of the longest part of path that stands in the file,
// 0 when none does.
func lineOf(root *yaml.Node, path string) int {
	line := 0
	n := root
	for path != "" && n != nil {
		var next *yaml.Node
		rest := ""
		switch n.Kind {
		case yaml.MappingNode:
			// A key may hold dots itself (a tenant's name): the longest that fits wins.
			best := -1
			for i := 0; i+1 < len(n.Content); i += 2 {
				k := n.Content[i].Value
				if len(k) > best && strings.HasPrefix(path, k) && (len(path) == len(k) || path[len(k)] == '.' || path[len(k)] == '[') {
					best, line, next = len(k), n.Content[i].Line, n.Content[i+1]
					rest = strings.TrimPrefix(path[len(k):], ".")
				}
			}
		case yaml.SequenceNode:
			num, after, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
			i := 0
			for _, c := range num {
				if c < '0' || c > '9' || i > len(n.Content) {
					return line
				}
				i = i*10 + int(c-'0')
			}
			if ok && i < len(n.Content) {
				next, rest, line = n.Content[i], strings.TrimPrefix(after, "."), n.Content[i].Line
			}
		default:
		}
		n, path = next, rest
	}
	return line
}
