package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"signalbox/internal/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or print the configuration",
		Example: `  signalbox config check signalbox.yaml
  signalbox config print --config.file signalbox.yaml
  signalbox config print --defaults > signalbox.yaml`,
	}
	group(cmd)
	cmd.AddCommand(newConfigCheck(), newConfigPrint())
	return cmd
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Report every fault of a configuration file",
		Long: `Report every fault and warning of a configuration file.

Checked: keys, types and values of every section; environment variables are set;
Prometheus' sections as Prometheus loads them, with the files that
scrape_config_files names; the Collector's receivers, processors and pipelines;
the web config file with the certificates it names.

Not checked: that ports are free, that folders can be written, that targets and
brokers can be reached. No port is opened and nothing is written.

Exit code: 0 without faults (warnings do not count), 1 with faults, 2 for a wrong
command line.`,
		Example: "  signalbox config check signalbox.yaml",
		Args:    exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, warnings, err := config.Load(args[0])
			for _, w := range warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", args[0], w)
			}
			faults := config.Faults(err)
			for _, f := range faults {
				fmt.Fprintf(cmd.ErrOrStderr(), "error: %s\n", f)
			}
			if err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s, %s\n", args[0], count(len(faults), "error"), count(len(warnings), "warning"))
				return errSaid
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: no errors, %s\n", args[0], count(len(warnings), "warning"))
			return nil
		},
	}
}

func newConfigPrint() *cobra.Command {
	var (
		flags    configFlags
		defaults bool
	)
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force, secrets as stars",
		Long: `Print the configuration that 'signalbox serve' with the same flags would use:
every key with its value, defaults filled in, secrets as stars.`,
		Example: `  signalbox config print --config.file signalbox.yaml
  signalbox config print --defaults
  signalbox config print --storage.path /var/lib/signalbox`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				if flags.file != "" {
					return usagef("--defaults prints what holds without a file; leave out --config.file")
				}
				return config.Default().Print(cmd.OutOrStdout())
			}
			cfg, warnings, err := flags.load()
			for _, w := range warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			if err != nil {
				return err
			}
			return cfg.Print(cmd.OutOrStdout())
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&defaults, "defaults", false, "print the defaults, whatever the other flags say")
	return cmd
}

// count is "no errors", "1 error", "3 errors".
func count(n int, word string) string {
	switch n {
	case 0:
		return "no " + word + "s"
	case 1:
		return "1 " + word
	default:
		return fmt.Sprintf("%d %ss", n, word)
	}
}
