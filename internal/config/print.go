package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Print writes the configuration in force as YAML: every key of ours with its
// value, the libraries' sections as they were written, secrets as stars.
// Reading the output back gives the same configuration, secrets excepted.
func (c *Config) Print(w io.Writer) error {
	n, err := encodeValue("", reflect.ValueOf(c).Elem())
	if err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return enc.Close()
}

// encodeValue is the mirror of decoder.value; nil means: leave the key out.
func encodeValue(key string, v reflect.Value) (*yaml.Node, error) {
	if r, ok := v.Interface().(Raw); ok {
		if r.IsZero() {
			return nil, nil
		}
		return maskNode(r.source), nil
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return text(FormatDuration(d)), nil
	}
	switch v.Interface().(type) {
	case yaml.Marshaler, encoding.TextMarshaler:
		var n yaml.Node
		err := n.Encode(v.Interface())
		return &n, err
	}
	switch v.Kind() {
	case reflect.Struct:
		return encodeStruct(v)
	case reflect.Map:
		return encodeMap(v)
	case reflect.Slice:
		return encodeSlice(key, v)
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return encodeValue(key, v.Elem())
	case reflect.String:
		return text(v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if isBytesKey(key) {
			return text(FormatBytes(v.Int())), nil
		}
		return plain("!!int", strconv.FormatInt(v.Int(), 10)), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if isBytesKey(key) && v.Uint() <= 1<<63-1 {
			return text(FormatBytes(int64(v.Uint()))), nil
		}
		return plain("!!int", strconv.FormatUint(v.Uint(), 10)), nil
	default:
		var n yaml.Node
		err := n.Encode(v.Interface())
		return &n, err
	}
}

// text is a scalar without quotes where YAML allows it; sizes and durations
// that are bare numbers stay numbers.
func text(s string) *yaml.Node {
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return plain("!!int", s)
	}
	return plain("!!str", s)
}

func plain(tag, s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s}
}

func encodeStruct(v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if f.omitEmpty && fv.IsZero() {
			continue
		}
		c, err := encodeValue(f.name, fv)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if c != nil {
			n.Content = append(n.Content, plain("!!str", f.name), c)
		}
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

func encodeMap(v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	entries := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		entries[k.String()] = v.MapIndex(k)
	}
	for _, k := range sortedKeys(entries) {
		c, err := encodeValue(k, entries[k])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		if c != nil {
			n.Content = append(n.Content, plain("!!str", k), c)
		}
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

func encodeSlice(key string, v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for i := range v.Len() {
		c, err := encodeValue(key, v.Index(i))
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		if c != nil {
			n.Content = append(n.Content, c)
		}
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}
