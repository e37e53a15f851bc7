package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File string // "" for a configuration that came from no file
	Line int    // from 1; 0 when the place is not known
	Path string // YAML path such as scrape_configs[0].job_name; "" for the whole file
	Err  error
}

// Error is "file:line: path: text", less what is not known.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
		if f.Line > 0 {
			b.WriteString(strconv.Itoa(f.Line) + ":")
		}
		b.WriteByte(' ')
	} else if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Err.Error())
	return b.String()
}

// Unwrap returns the error without its place.
func (f *Fault) Unwrap() error { return f.Err }

// Faults takes an error of Load or Validate apart, for callers that show one
// fault a line.
func Faults(err error) []error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Fault); ok { //nolint:errorlint // the node itself is asked for, not its chain
		return []error{err}
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, Faults(e)...)
		}
		return all
	}
	return []error{err}
}

// pathPrefix matches the "wal_sync: " that subsystems put before their text.
var pathPrefix = regexp.MustCompile(`^([A-Za-z_][\w./-]*(?:\[[^\]\s]*\][\w./-]*)*): `)

// under turns the errors of a subsystem's Validate into faults whose paths
// start at the section.
func under(section string, err error) []error {
	var out []error
	for _, e := range Faults(err) {
		path, text := section, e.Error()
		var sub *Fault
		if errors.As(e, &sub) {
			out = append(out, &Fault{File: sub.File, Line: sub.Line, Path: join(section, sub.Path), Err: sub.Err})
			continue
		}
		text = strings.TrimPrefix(strings.TrimPrefix(text, section+"."), section+": ")
		if m := pathPrefix.FindStringSubmatch(text); m != nil && strings.ToLower(m[1]) == m[1] {
			path, text = join(section, m[1]), text[len(m[0]):]
		}
		out = append(out, &Fault{Path: path, Err: &placed{text: text, err: e}})
	}
	return out
}

// placed is an error whose path was cut off its text.
type placed struct {
	text string
	err  error
}

func (p *placed) Error() string { return p.text }
func (p *placed) Unwrap() error { return p.err }

func join(path, key string) string {
	if path == "" || key == "" || strings.HasPrefix(key, "[") {
		return path + key
	}
	return path + "." + key
}
