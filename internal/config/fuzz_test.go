package config

import (
	"bytes"
	"testing"
)

// FuzzParse: no bytes may panic or hang the loader; what is accepted prints,
// and the print, which has no secret to lose here, prints the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "storage: {path: x}\n", "limits: &a {max_series: 1e3}\ntenants: {b: *a, c: {<<: *a}}\n",
		"scrape_configs:\n  - job_name: a\n    static_configs: [{targets: [h]}]\nglobal: {scrape_interval: 5s}\n",
		"collector: {receivers: {otlp: {protocols: {grpc: {}}}}, service: {pipelines: {metrics: {receivers: [otlp]}}}}\n",
		"a: &a [*a]\n", "? [x]\n: y\n", "storage: {path: '${env:HOME:-x}'}\n", "---\na\n---\nb\n", "\x00", "!!binary x", "<<: 1\n",
		"query: {timeout: 9999999999y, max_bytes: 1e300}\n", "- - - - - -", "storage: !!map {path: !!int x}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("_file")) {
			return // reads files that the input names
		}
		c, _, err := Parse("", data)
		if err != nil {
			for _, e := range Faults(err) {
				_ = e.Error()
			}
			return
		}
		var one, two bytes.Buffer
		if err := c.Print(&one); err != nil {
			t.Fatal(err)
		}
		again, _, err := Parse("", one.Bytes())
		if err != nil {
			if bytes.Contains(one.Bytes(), []byte(masked)) {
				return // stars are not what every secret may look like
			}
			t.Fatalf("the print does not load: %v\n%s", err, one.Bytes())
		}
		if err := again.Print(&two); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatalf("prints differ:\n%s\n---\n%s", one.Bytes(), two.Bytes())
		}
	})
}
