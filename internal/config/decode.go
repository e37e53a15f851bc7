package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder sets Go values from an expanded tree. It goes on after a fault and
// leaves the default in place of what it could not read.
type decoder struct {
	source    *yaml.Node          // the root as written, for Raw
	elsewhere map[string][]string // every known key → where it stands
	faults    []error
}

func (d *decoder) fault(n *yaml.Node, path string, format string, args ...any) {
	d.faults = append(d.faults, &Fault{Line: n.Line, Path: path, Err: fmt.Errorf(format, args...)})
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[Raw]()
	tenantsType  = reflect.TypeFor[Tenants]()
	nodeType     = reflect.TypeFor[yaml.Node]()
)

// ownDecoding says whether a type reads YAML itself.
func ownDecoding(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[interface{ UnmarshalYAML(func(any) error) error }]()) ||
		p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// value decodes n into v, which is addressable and holds the default.
func (d *decoder) value(path, key string, n *yaml.Node, v reflect.Value) {
	switch t := v.Type(); {
	case t == rawType:
		d.raw(path, n, v)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		// "key:" with nothing behind it keeps the default.
	case t == tenantsType:
		// decodeTenants does it, when the limits they start from are known.
	case t == durationType:
		d.duration(path, n, v)
	case t == nodeType || ownDecoding(t):
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.fault(n, path, "%s", cleanYAMLError(err))
		}
	default:
		d.kind(path, key, n, v)
	}
}

func (d *decoder) kind(path, key string, n *yaml.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Map:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.list(path, key, n, v)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		d.value(path, key, n, p.Elem())
		v.Set(p)
	case reflect.Interface:
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.fault(n, path, "%s", cleanYAMLError(err))
		}
	default:
		d.scalar(path, key, n, v)
	}
}

// raw takes the section as it is; what Print shows is the tree as written.
func (d *decoder) raw(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	source := child(d.source, path)
	if source == nil {
		source = n
	}
	v.Set(reflect.ValueOf(Raw{node: n, source: source}))
}

func (d *decoder) structure(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "want a mapping, got %s", kindWord(n))
		return
	}
	fields := fieldsOf(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		f, ok := findField(fields, k.Value)
		if !ok {
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.name
			}
			d.faults = append(d.faults, &Fault{Line: k.Line, Path: join(path, k.Value), Err: unknownKey(path, k.Value, names, d.elsewhere)})
			continue
		}
		d.value(join(path, f.name), f.name, n.Content[i+1], v.FieldByIndex(f.index))
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	t := v.Type()
	if n.Kind != yaml.MappingNode || t.Key().Kind() != reflect.String {
		d.fault(n, path, "want a mapping, got %s", kindWord(n))
		return
	}
	m := reflect.MakeMapWithSize(t, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i].Value
		e := reflect.New(t.Elem()).Elem()
		d.value(join(path, k), k, n.Content[i+1], e)
		m.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), e)
	}
	v.Set(m)
}

func (d *decoder) list(path, key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "want a list, got %s", kindWord(n))
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(path+"["+strconv.Itoa(i)+"]", key, item, s.Index(i))
	}
	v.Set(s)
}

func (d *decoder) duration(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, "want a duration, got %s", kindWord(n))
		return
	}
	x, err := ParseDuration(n.Value)
	if err != nil {
		d.fault(n, path, "%w", err)
		return
	}
	v.SetInt(int64(x))
}

func (d *decoder) scalar(path, key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, "want %s, got %s", wanted(v.Kind(), key), kindWord(n))
		return
	}
	bad := func() { d.fault(n, path, "want %s, got %q", wanted(v.Kind(), key), n.Value) }
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		var b bool
		if n.Decode(&b) != nil {
			bad()
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := integer(n, key)
		switch {
		case errors.Is(err, errNotWhole):
			bad()
		case err != nil:
			d.fault(n, path, "%w", err)
		case v.OverflowInt(i):
			d.fault(n, path, "%s is too large", n.Value)
		default:
			v.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, err := integer(n, key)
		switch {
		case errors.Is(err, errNotWhole):
			bad()
		case err != nil:
			d.fault(n, path, "%w", err)
		case i < 0:
			d.fault(n, path, "must not be negative, got %s", n.Value)
		case v.OverflowUint(uint64(i)):
			d.fault(n, path, "%s is too large", n.Value)
		default:
			v.SetUint(uint64(i))
		}
	case reflect.Float32, reflect.Float64:
		var f float64
		if n.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			bad()
			return
		}
		v.SetFloat(f)
	default:
		d.fault(n, path, "BUG: no decoding for %s", v.Type())
	}
}

var errNotWhole = errors.New("not a whole number")

// integer reads 5000, 5_000 and 5e3, and sizes where the key takes them.
func integer(n *yaml.Node, key string) (int64, error) {
	if isBytesKey(key) {
		return ParseBytes(n.Value)
	}
	if i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= math.MaxInt64 {
		return 0, errNotWhole
	}
	return int64(f), nil
}

func wanted(k reflect.Kind, key string) string {
	switch k {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		if isBytesKey(key) {
			return "a size"
		}
		return "a whole number"
	}
}
