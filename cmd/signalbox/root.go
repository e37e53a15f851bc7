package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot builds the whole command tree. It starts nothing.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "signalbox",
		Short: "Observability in one binary",
		Long: `Signalbox stores metrics from OpenTelemetry and Prometheus and answers PromQL.

It needs no configuration: 'signalbox serve' listens on this machine, keeps data
in ./signalbox-data and shows what to connect.`,
		Example: `  signalbox serve
  signalbox serve --config.file signalbox.yaml
  signalbox config check signalbox.yaml
  signalbox query promql 'rate(node_cpu_seconds_total{mode!="idle"}[5m])' --since 1h`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd: cmd, err: withFlagSuggestion(cmd, err)}
	})
	group(root)
	root.AddCommand(newServe(), newConfig(), newQuery(), newVersion())
	return root
}

// group makes a command that only holds others: alone it shows its help, with
// an unknown name it is an error that suggests a known one.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		msg := fmt.Sprintf("unknown command %q", strings.TrimSpace(cmd.CommandPath()+" "+args[0]))
		cmd.SuggestionsMinimumDistance = 2
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			msg += fmt.Sprintf(", did you mean %q?", cmd.CommandPath()+" "+s[0])
		}
		return &usageError{cmd: cmd, err: errors.New(msg)}
	}
}

// exactArgs is cobra.ExactArgs with an error that names what is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return &usageError{cmd: cmd, err: fmt.Errorf("%s is missing", names[len(args)])}
		case len(args) > len(names):
			return &usageError{cmd: cmd, err: fmt.Errorf("unexpected argument %q%s", args[len(names)], quoteHint(names))}
		}
		return nil
	}
}

func quoteHint(names []string) string {
	if len(names) > 0 && names[len(names)-1] == "EXPR" {
		return "; put the expression in quotes"
	}
	return ""
}

// withFlagSuggestion adds the nearest known flag to "unknown flag: --x".
func withFlagSuggestion(cmd *cobra.Command, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return err
	}
	var known []string
	for _, f := range flagsOf(cmd) {
		known = append(known, f.Name)
	}
	if s := nearestFlag(name, known); s != "" {
		return fmt.Errorf("%w, did you mean --%s?", err, s)
	}
	return err
}
