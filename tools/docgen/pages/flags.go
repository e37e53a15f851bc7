package pages

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags renders the reference of the command line from its command tree.
func Flags(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Command line\n\nMade from the sources by `go run ./tools/docgen`; do not edit.\n")
	fmt.Fprintf(&b, "\nExit codes: 0 success, 1 the command could not do its work, 2 the command line was wrong.\n")
	command(&b, root)
	return b.Bytes()
}

func command(b *bytes.Buffer, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
		return
	}
	cmd.InitDefaultHelpFlag()
	fmt.Fprintf(b, "\n## `%s`\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintln(b, text)
	if !cmd.HasSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```sh\n%s\n```\n", unindent(cmd.Example))
	}
	flags(b, cmd)
	for _, sub := range cmd.Commands() {
		command(b, sub)
	}
}

func flags(b *bytes.Buffer, cmd *cobra.Command) {
	head := false
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if !head {
			fmt.Fprint(b, "\n| Flag | Default | Meaning |\n|---|---|---|\n")
			head = true
		}
		arg, usage := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if arg != "" {
			name += " " + arg
		}
		def := "none"
		if f.DefValue != "" {
			def = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "| %s` | %s | %s |\n", name, def, strings.ReplaceAll(usage, "|", `\|`))
	})
}

func unindent(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll(s, "\n  ", "\n"), "  ")
}
