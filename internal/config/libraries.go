package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"signalbox/ingest/scrape"
)

// ScrapeConfig returns what ingest/scrape runs: the `scrape` section with
// Prometheus' own sections loaded into it by Prometheus' code. Files of
// scrape_config_files are read at each call.
func (c *Config) ScrapeConfig() (scrape.Config, error) {
	doc := c.ScrapeDocument()
	if doc == nil {
		return c.Scrape, nil
	}
	parsed, err := scrape.ParseConfig(doc, c.baseDir)
	if err != nil {
		return scrape.Config{}, err
	}
	from, to := reflect.ValueOf(&c.Scrape).Elem(), reflect.ValueOf(&parsed).Elem()
	for _, f := range fieldsOf(from.Type()) {
		to.FieldByIndex(f.index).Set(from.FieldByIndex(f.index))
	}
	return parsed, nil
}

// scrape checks `scrape` and Prometheus' own sections.
func (v *validation) scrape(c *Config) {
	cfg, err := c.ScrapeConfig()
	if err != nil {
		v.section("scrape", &c.Scrape)
		v.faults = append(v.faults, scrapeFaults(err, c.scrapeText != nil)...)
		return
	}
	warnings, err := cfg.Validate()
	for _, w := range warnings {
		if !strings.HasPrefix(w, "scrape_config_files: ") {
			w = join("scrape", w)
		}
		v.warnings = append(v.warnings, w)
	}
	v.faults = append(v.faults, under("scrape", err)...)
}

var yamlLine = regexp.MustCompile(`(?m)^\s*line (\d+): (.*)$`)

// scrapeFaults makes one fault of each line that Prometheus' loader complains
// of. Line numbers hold only when the document kept the file's lines.
func scrapeFaults(err error, sameLines bool) []error {
	text := strings.TrimPrefix(err.Error(), "scrape configuration: ")
	text = strings.TrimPrefix(text, "parsing YAML file : ")
	found := yamlLine.FindAllStringSubmatch(text, -1)
	if !sameLines || len(found) == 0 {
		path := "scrape_configs"
		if rest, ok := strings.CutPrefix(text, "scrape_config_files: "); ok {
			path, text = "scrape_config_files", rest
		}
		return []error{&Fault{Path: path, Err: &placed{text: text, err: err}}}
	}
	hint := ""
	if _, after, ok := strings.Cut(text, "_sd_configs: this build"); ok {
		hint = "; this build" + after
	}
	var out []error
	for _, m := range found {
		line, _ := strconv.Atoi(m[1])
		what := m[2]
		if hint != "" && strings.Contains(what, "_sd_configs not found") {
			what += hint
		}
		out = append(out, &Fault{Line: line, Path: "", Err: &placed{text: plainTypeNames(what), err: err}})
	}
	return out
}

var typeName = regexp.MustCompile(`field (\S+) not found in type (?:\w+\.)?(\w+)`)

// plainTypeNames says "unknown key" instead of naming Go types.
func plainTypeNames(s string) string {
	return typeName.ReplaceAllStringFunc(s, func(m string) string {
		g := typeName.FindStringSubmatch(m)
		return fmt.Sprintf("unknown key %q (%s)", g[1], g[2])
	})
}
