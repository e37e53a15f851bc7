// Command fuzzall runs every fuzz target of the module for a while each, and
// says how far it is: go test runs only one target at a time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

var target = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

func main() {
	each := flag.Duration("time", 5*time.Second, "how long to run each target")
	only := flag.String("run", "", "only targets whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *each, *only); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

type job struct{ dir, name string }

func run(ctx context.Context, each time.Duration, only string) error {
	var jobs []job
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], only) {
				jobs = append(jobs, job{"./" + filepath.Dir(path), m[1]})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	sort.Slice(jobs, func(i, j int) bool { return jobs[i].dir+jobs[i].name < jobs[j].dir+jobs[j].name })
	var failed []string
	for i, j := range jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Printf("[%d/%d] %s %s\n", i+1, len(jobs), j.dir, j.name)
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+j.name+"$", "-fuzztime", each.String(), j.dir)
		out, err := cmd.CombinedOutput()
		if err != nil && !onlyLate(string(out)) {
			fmt.Printf("%s\n", out)
			failed = append(failed, j.dir+" "+j.name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d targets failed: %s", len(failed), len(jobs), strings.Join(failed, ", "))
	}
	fmt.Printf("%d fuzz targets, %s each, no failure\n", len(jobs), each)
	return nil
}

// onlyLate reports whether a target failed for nothing but the end of its time:
// the go command sometimes calls that a failure of the input it was at.
func onlyLate(out string) bool {
	return strings.Contains(out, "context deadline exceeded") && !strings.Contains(out, "Failing input written")
}
