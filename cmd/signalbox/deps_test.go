package main

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signalbox/internal/testkit"
)

// depsIntro heads deps.txt.
const depsIntro = "# Modules that the linux/amd64 binary links. Made by `go run ./tools/docgen`; do not edit.\n"

// TestDeps fails when deps.txt is not what the binary links, so that a change
// shows what it brings along; -update rewrites it.
func TestDeps(t *testing.T) {
	modules := linked(t, "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	testkit.Golden(t, "../deps.txt", []byte(depsIntro+strings.Join(modules, "\n")+"\n"))
}

// linked returns "path version" of every module whose packages the program
// links, sorted; a replaced module is followed by what replaces it.
func linked(t *testing.T, env ...string) []string {
	t.Helper()
	const format = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{with .Replace}} => {{.Path}} {{.Version}}{{end}}{{end}}{{end}}`
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, ".")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	set := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			set[line] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}
