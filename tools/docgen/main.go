// Command docgen rewrites the pages of docs/generated, and the list of what the
// binary links, from the sources:
//
//	go run ./tools/docgen
//
// Each page is compared by a test next to what it describes, so a page that
// drifted fails the build. docgen runs those tests with -update.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
)

// pages are the tests that own the pages.
var pages = []struct{ file, pkg, test string }{
	{"deps.txt", "./cmd/signalbox", "^TestDeps$"},
	{"config.md", "./tools/docgen/pages", "^TestConfigPage$"},
	{"flags.md", "./cmd/signalbox", "^TestFlagsPage$"},
	{"metrics.md", "./internal/app", "^TestMetricsPage$"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed := false
	for _, p := range pages {
		cmd := exec.CommandContext(ctx, "go", "test", p.pkg, "-count=1", "-run", p.test, "-update")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "docgen: %s: %v\n", p.file, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
