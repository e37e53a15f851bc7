package pages

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/config"
)

// Config renders the reference of the configuration file. root is the folder of
// the module, where the sources with the comments are. A key without a sentence
// is an error: every option explains itself.
func Config(root string) ([]byte, error) {
	p := &configPage{docs: sources{root: root}}
	fmt.Fprint(&p.out, configIntro)
	few, many := defaultsWith(1), defaultsWith(64)
	p.section("", few, many)
	return p.out.Bytes(), errors.Join(p.missing...)
}

const configIntro = `# Configuration reference

Made from the sources by ` + "`go run ./tools/docgen`" + `; do not edit.

One YAML file, given with ` + "`--config.file`" + `. No key is required, unknown keys are errors, and
` + "`signalbox config check FILE`" + ` reports every fault at once. ` + "`signalbox config print --defaults`" + ` prints the
defaults as a file.

* Durations are written as Prometheus writes them: ` + "`30s`, `1h30m`, `15d`" + `.
* Sizes are a number of bytes or have a unit: ` + "`512MB`, `1GiB`" + `; units are powers of 1024, as in Prometheus.
* ` + "`${env:NAME}`" + ` in a value is replaced by the environment variable, ` + "`${env:NAME:-default}`" + ` by the default where it is
  unset or empty; without a default an unset variable is an error. ` + "`$${env:NAME}`" + ` is the text itself.
* Relative paths start at the folder of the file, ` + "`storage.path`" + ` at the working directory.
`

// defaultsWith returns the defaults of a machine with n CPUs: what differs
// between two machines must not be printed as if it were fixed.
func defaultsWith(n int) reflect.Value {
	old := runtime.GOMAXPROCS(n)
	defer runtime.GOMAXPROCS(old)
	return reflect.ValueOf(config.Default()).Elem()
}

type configPage struct {
	out     bytes.Buffer
	docs    sources
	missing []error
}

// row is one key of a section's table.
type row struct{ key, typ, def, text string }

// section writes the table of the leaves of a struct, then its sub-sections.
func (p *configPage) section(path string, few, many reflect.Value) {
	var rows []row
	var subs []func()
	p.fields(path, few, many, &rows, &subs)
	if len(rows) > 0 {
		fmt.Fprint(&p.out, "\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n")
		for _, r := range rows {
			fmt.Fprintf(&p.out, "| `%s` | %s | %s | %s |\n", r.key, r.typ, r.def, r.text)
		}
	}
	for _, sub := range subs {
		sub()
	}
}

func (p *configPage) fields(path string, few, many reflect.Value, rows *[]row, subs *[]func()) {
	t := few.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if !sf.IsExported() || name == "-" {
			continue
		}
		a, b := few.Field(i), many.Field(i)
		if strings.Contains(opts, "inline") {
			p.fields(path, a, b, rows, subs)
			continue
		}
		full := name
		if path != "" {
			full = path + "." + name
		}
		text, err := p.docs.sentence(t, sf.Name)
		if err != nil {
			p.missing = append(p.missing, fmt.Errorf("%s: %w", full, err))
		}
		if isSection(sf.Type) {
			*subs = append(*subs, func() {
				fmt.Fprintf(&p.out, "\n%s `%s`\n\n%s\n", strings.Repeat("#", 2+strings.Count(full, ".")), full, text)
				p.section(full, a, b)
			})
			continue
		}
		*rows = append(*rows, row{key: name, typ: typeWord(sf.Type, name), def: defaultText(name, a, b), text: strings.ReplaceAll(text, "|", `\|`)})
	}
}

func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[config.Raw]() &&
		!reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// typeWord names a type as an operator sees it.
func typeWord(t reflect.Type, key string) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[config.Raw]():
		return "YAML"
	case t == reflect.TypeFor[config.Tenants]():
		return "mapping of `limits`"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if config.TakesSizes(key) {
			return "size"
		}
		return "integer"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + typeWord(t.Elem(), key)
	case reflect.Map:
		return "mapping"
	case reflect.Pointer:
		return typeWord(t.Elem(), key)
	default:
		return "text"
	}
}

// defaultText is the default as the file would have it; what depends on the
// machine says so.
func defaultText(key string, few, many reflect.Value) string {
	if !reflect.DeepEqual(few.Interface(), many.Interface()) {
		return "by the number of CPUs"
	}
	if few.IsZero() && few.Kind() != reflect.Bool && few.Kind() != reflect.Int && few.Kind() != reflect.Int64 &&
		few.Kind() != reflect.Uint64 && few.Kind() != reflect.Float64 {
		return "none"
	}
	switch {
	case few.Type() == reflect.TypeFor[time.Duration]():
		return "`" + config.FormatDuration(time.Duration(few.Int())) + "`"
	case few.CanInt() && config.TakesSizes(key):
		return "`" + config.FormatBytes(few.Int()) + "`"
	case few.CanUint() && config.TakesSizes(key):
		return "`" + config.FormatBytes(int64(few.Uint())) + "`"
	case few.Kind() == reflect.Slice:
		items := make([]string, few.Len())
		for i := range items {
			items[i] = "`" + fmt.Sprint(few.Index(i)) + "`"
		}
		return strings.Join(slices.Clip(items), ", ")
	case few.Kind() == reflect.Float64:
		return "`" + strconv.FormatFloat(few.Float(), 'g', -1, 64) + "`"
	default:
		return "`" + strings.ReplaceAll(fmt.Sprint(few), "|", `\|`) + "`"
	}
}
