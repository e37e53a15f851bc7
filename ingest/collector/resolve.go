package collector

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// bodyScheme is the scheme under which a component's own settings are handed to
// the Collector's resolver.
const bodyScheme = "signalbox"

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// resolve expands ${env:NAME}, ${env:NAME:-default}, ${NAME}, ${file:PATH} and
// ${yaml:TEXT} in the settings of one component, as the Collector does, and
// calls unset with the name of each variable that has no value.
func resolve(ctx context.Context, body any, unset func(name string)) (*confmap.Conf, error) {
	tree, ok := normalizeDeep(body).(map[string]any)
	if body != nil && !ok {
		return nil, fmt.Errorf("want a mapping of settings, have %T", body)
	}
	r, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: []string{bodyScheme + ":"},
		ProviderFactories: []confmap.ProviderFactory{
			newProvider(bodyScheme, func(string) (*confmap.Retrieved, error) { return confmap.NewRetrieved(tree) }),
			newProvider("env", func(ref string) (*confmap.Retrieved, error) { return fromEnv(ref, unset) }),
			newProvider("file", fromFile),
			newProvider("yaml", func(text string) (*confmap.Retrieved, error) { return confmap.NewRetrievedFromYAML([]byte(text)) }),
		},
		DefaultScheme: "env",
	})
	if err != nil {
		return nil, err
	}
	conf, err := r.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	return conf, r.Shutdown(ctx)
}

func fromEnv(ref string, unset func(string)) (*confmap.Retrieved, error) {
	name, def, hasDef := strings.Cut(ref, ":-")
	if !envName.MatchString(name) {
		return nil, fmt.Errorf("${env:%s}: %q is not the name of an environment variable", ref, name)
	}
	v, ok := os.LookupEnv(name)
	if v == "" && hasDef {
		v, ok = def, true
	}
	if !ok {
		unset(name)
	}
	return confmap.NewRetrievedFromYAML([]byte(v))
}

func fromFile(path string) (*confmap.Retrieved, error) {
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("${file:%s}: %w", path, err)
	}
	return confmap.NewRetrievedFromYAML(b)
}

// provider answers one scheme from a function; nothing is watched.
type provider struct {
	scheme string
	read   func(opaque string) (*confmap.Retrieved, error)
}

func newProvider(scheme string, read func(string) (*confmap.Retrieved, error)) confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider {
		return provider{scheme: scheme, read: read}
	})
}

func (p provider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	return p.read(strings.TrimPrefix(uri, p.scheme+":"))
}
func (p provider) Scheme() string                 { return p.scheme }
func (p provider) Shutdown(context.Context) error { return nil }
