package testkit

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files in testdata instead of comparing with them")

// Golden compares got with the file testdata/name of the package under test.
// `go test -update` writes the file instead; the difference is then reviewed like
// code. A missing file fails the test.
func Golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatalf("make the golden folder: %v", err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatalf("write the golden file: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with -update)", err)
	}
	if !bytes.Equal(want, got) {
		t.Fatalf("%s differs (-want +got); -update accepts:\n%s", path, cmp.Diff(string(want), string(got)))
	}
}
