package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"signalbox/internal/telemetry"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this binary",
		Example: "  signalbox version",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := telemetry.ReadBuild(version)
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "signalbox %s (revision %s, %s, %s/%s)\n",
				b.Version, b.Revision, b.GoVersion, runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
