package collector

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"
)

var httpServer = reflect.TypeFor[confighttp.ServerConfig]()

// unknownKeys finds misspelt keys that the Collector lets pass: the settings of
// its HTTP servers decode themselves and ignore what they do not know, also
// where a receiver takes them in among its own. Everything else is strict already.
func unknownKeys(faults *problems, path string, t reflect.Type, have map[string]any) {
	t = element(t)
	if t.Kind() != reflect.Struct {
		return
	}
	known, lenient := fields(t)
	for _, k := range slices.Sorted(maps.Keys(have)) {
		ft, ok := known[k]
		if !ok {
			if lenient {
				faults.add(path, "has invalid keys: %s", k)
			}
			continue
		}
		if sub, isMap := have[k].(map[string]any); isMap {
			unknownKeys(faults, path+"."+k, ft, sub)
		}
	}
}

// element looks through pointers and the Collector's Optional, which has a
// method Get that returns a pointer.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if get, ok := reflect.PointerTo(t).MethodByName("Get"); ok && strings.HasPrefix(t.Name(), "Optional[") && get.Type.NumOut() == 1 {
		return element(get.Type.Out(0))
	}
	return t
}

// fields returns the keys of a struct with those of squashed structs, and
// whether it is or takes in the settings of an HTTP server.
func fields(t reflect.Type) (known map[string]reflect.Type, lenient bool) {
	known, lenient = map[string]reflect.Type{}, t == httpServer
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
		if strings.Contains(opts, "squash") {
			sub, l := fields(element(f.Type))
			maps.Copy(known, sub)
			lenient = lenient || l
			continue
		}
		if f.IsExported() && name != "-" {
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			known[name] = f.Type
		}
	}
	return known, lenient
}
