package hostmetrics

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// meminfo passes every line of /proc/meminfo on.
func (c *Collector) meminfo(e *emitter) error {
	b, err := c.readProc("meminfo")
	if err != nil {
		return err
	}
	return parseMeminfo(b, func(name string, v float64) {
		e.gauge("node_memory_"+name, "Memory information field "+name+".", v)
	})
}

// parseMeminfo reads lines like "Active(anon):  12 kB" as Active_anon_bytes;
// numbers without a unit keep their name.
func parseMeminfo(b []byte, put func(name string, v float64)) error {
	for line := range bytes.Lines(b) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 || !strings.HasSuffix(fields[0], ":") {
			return fmt.Errorf("meminfo: unexpected line %q", line)
		}
		v, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return fmt.Errorf("meminfo: %w", err)
		}
		name := strings.TrimSuffix(fields[0], ":")
		name = strings.ReplaceAll(strings.ReplaceAll(name, "(", "_"), ")", "")
		if len(fields) == 3 {
			v *= 1024
			name += "_bytes"
		}
		put(name, v)
	}
	return nil
}

var vmstatFields = regexp.MustCompile(`^(oom_kill|pgpg|pswp|pg.*fault).*`)

// vmstat passes the lines of /proc/vmstat on that show paging and swapping.
func (c *Collector) vmstat(e *emitter) error {
	b, err := c.readProc("vmstat")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(b) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok || !vmstatFields.MatchString(name) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("vmstat: %s: %w", name, err)
		}
		e.untyped("node_vmstat_"+name, "/proc/vmstat information field "+name+".", v)
	}
	return nil
}
