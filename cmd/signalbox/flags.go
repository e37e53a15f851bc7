package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"signalbox/internal/config"
)

// configFlags are the few settings that are also flags. A flag that was given
// overrides the file, also when the file is read again.
type configFlags struct {
	file        string
	storagePath string
	httpListen  string
	grpcListen  string
	otlpListen  string
	logLevel    string

	set *pflag.FlagSet
}

func (f *configFlags) register(cmd *cobra.Command) {
	def := config.Default()
	f.set = cmd.Flags()
	f.set.SortFlags = false
	f.set.StringVar(&f.file, "config.file", "", "configuration `FILE` (YAML); without one the defaults are in force")
	f.set.StringVar(&f.storagePath, "storage.path", def.Storage.Path, "`FOLDER` that holds all data")
	f.set.StringVar(&f.httpListen, "http.listen", def.HTTP.Listen, "`ADDRESS` of the main port: HTTP API, remote write, OTLP")
	f.set.StringVar(&f.grpcListen, "otlp.grpc.listen", def.OTLP.GRPCListen, "`ADDRESS` for OTLP over gRPC; \"\" for none")
	f.set.StringVar(&f.otlpListen, "otlp.http.listen", def.OTLP.HTTPListen, "`ADDRESS` for OTLP over HTTP; \"\" for none")
	f.set.StringVar(&f.logLevel, "log.level", def.Log.Level, "least `LEVEL` that is logged: debug, info, warn, error")
}

// load reads the file and applies the flags.
func (f *configFlags) load() (*config.Config, []string, error) {
	return config.Load(f.file, f.apply)
}

func (f *configFlags) apply(c *config.Config) {
	for name, to := range map[string]struct{ from, to *string }{
		"storage.path":     {&f.storagePath, &c.Storage.Path},
		"http.listen":      {&f.httpListen, &c.HTTP.Listen},
		"otlp.grpc.listen": {&f.grpcListen, &c.OTLP.GRPCListen},
		"otlp.http.listen": {&f.otlpListen, &c.OTLP.HTTPListen},
		"log.level":        {&f.logLevel, &c.Log.Level},
	} {
		if f.set.Changed(name) {
			*to.to = *to.from
		}
	}
}

// flagsOf lists the visible flags of a command.
func flagsOf(cmd *cobra.Command) []*pflag.Flag {
	var out []*pflag.Flag
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			out = append(out, f)
		}
	})
	return out
}

// nearestFlag finds the flag that a misspelt name most likely means: the same
// letters with other separators, the same last word, or one nearly equal.
func nearestFlag(name string, known []string) string {
	squash := func(s string) string {
		return strings.NewReplacer("-", "", ".", "", "_", "").Replace(strings.ToLower(s))
	}
	for _, k := range known {
		if squash(k) == squash(name) {
			return k
		}
	}
	return config.Nearest(name, known)
}
