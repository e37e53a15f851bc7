package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "signalbox"

// ground is what everybody may import.
var ground = []string{"internal/fault", "internal/tenant", "internal/vfs", "internal/lifecycle", "internal/telemetry", "internal/invariant", "internal/model"}

// rules say what each folder (and those below it) may import of this module,
// besides ground and itself. The first match counts; no match is an error.
// docs/architecture.md draws the same picture.
var rules = []struct {
	folder string
	may    []string
}{
	{"internal/testkit", nil},
	{"internal/httpserver", nil},
	{"internal/config", []string{"ingest", "tsdb", "internal/httpserver"}},
	{"internal/app", []string{"internal", "ingest", "tsdb"}},
	{"internal/layers", nil},
	{"internal", nil}, // the rest of ground
	{"ingest", []string{"internal/httpserver"}},
	{"tsdb/api", []string{"internal/httpserver", "tsdb"}},
	{"tsdb/promql", nil},
	{"tsdb", nil},
	{"cmd", []string{"internal"}},
	{"tools", []string{"cmd", "internal", "ingest", "tsdb"}},
	{"test", []string{"internal", "ingest", "tsdb", "cmd"}},
	{"bench", nil},
}

// external says which folders alone may use a library. Tests may use it too,
// as the reference.
var external = []struct {
	library string
	folders []string
}{
	{"github.com/prometheus/prometheus/tsdb", []string{"tsdb"}},
	{"github.com/stretchr/testify", []string{"internal/testkit"}},
	{"go.uber.org/goleak", []string{"internal/testkit"}},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var ps []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return ps
		}
		require.NoError(t, err)
		ps = append(ps, p)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	return filepath.Join(dir, "..", "..")
}

// below reports whether path is folder or inside it.
func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func anyBelow(path string, folders []string) bool {
	for _, f := range folders {
		if below(path, f) {
			return true
		}
	}
	return false
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		may, known := []string(nil), false
		own := from
		for _, r := range rules {
			if below(from, r.folder) {
				may, known = r.may, true
				// Packages of one subsystem see each other, but doors and ground do not.
				if r.folder == "tsdb" || r.folder == "tsdb/promql" || r.folder == "internal/httpserver" {
					own = r.folder
				}
				break
			}
		}
		require.True(t, known, "%s: no rule for this folder", from)
		for _, imp := range p.Imports {
			if to, ok := strings.CutPrefix(imp, module+"/"); ok {
				// What lies below a package belongs to it.
				if anyBelow(to, ground) || below(to, own) || anyBelow(to, may) {
					continue
				}
				t.Errorf("%s imports %s: not allowed (docs/architecture.md)", from, to)
			}
			for _, e := range external {
				if below(imp, e.library) && !anyBelow(from, e.folders) {
					t.Errorf("%s imports %s: only %s may", from, imp, strings.Join(e.folders, ", "))
				}
			}
		}
	}
}

func TestNoDrawers(t *testing.T) {
	for _, p := range packages(t) {
		switch base := p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:]; base {
		case "util", "utils", "common", "helper", "helpers", "types", "manager", "misc":
			t.Errorf("%s: name the idea, not the drawer", p.ImportPath)
		}
	}
}

var docPath = regexp.MustCompile("`((?:cmd|internal|ingest|tsdb|docs|test|bench|tools|changelog|packaging)/[A-Za-z0-9_./-]*)`")

func TestPathsInDocsExist(t *testing.T) {
	top := root(t)
	var pages []string
	for _, glob := range []string{"*.md", "docs/*.md", "docs/*/*.md", "tsdb/docs/*.md", "bench/*.md"} {
		m, err := filepath.Glob(filepath.Join(top, glob))
		require.NoError(t, err)
		pages = append(pages, m...)
	}
	require.NotEmpty(t, pages)
	for _, page := range pages {
		if strings.Contains(page, "/docs/rfc/") {
			continue // plans may name what is to come
		}
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range docPath.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(top, strings.TrimSuffix(m[1], "/..."))); err != nil {
				t.Errorf("%s names %s, which is not there", filepath.Base(page), m[1])
			}
		}
	}
}
