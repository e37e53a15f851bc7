package hostmetrics

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// uname tells the kernel and the name of the machine.
func (c *Collector) uname(e *emitter) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	text := unix.ByteSliceToString
	emitUname(e, text(u.Sysname[:]), text(u.Release[:]), text(u.Version[:]), text(u.Machine[:]), text(u.Nodename[:]), text(u.Domainname[:]))
	return nil
}

// osRelease tells the distribution.
func (c *Collector) osRelease(e *emitter) error {
	b, err := os.ReadFile(filepath.Join(c.cfg.RootPath, "/etc/os-release"))
	if errors.Is(err, fs.ErrNotExist) {
		b, err = os.ReadFile(filepath.Join(c.cfg.RootPath, "/usr/lib/os-release"))
	}
	if err != nil {
		return err
	}
	r := parseOSRelease(b)
	labels := make([]string, 0, 24)
	for _, key := range []string{
		"build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name",
		"variant", "variant_id", "version", "version_codename", "version_id",
	} {
		labels = append(labels, key, r[strings.ToUpper(key)])
	}
	e.gauge("node_os_info", "A metric with a constant '1' value labeled by the fields of os-release.", 1, labels...)
	if m := leadingVersion.FindString(r["VERSION_ID"]); m != "" {
		if v, err := strconv.ParseFloat(m, 64); err == nil {
			e.gauge("node_os_version", "Metric containing the major.minor part of the OS version.", v,
				"id", r["ID"], "id_like", r["ID_LIKE"], "name", r["NAME"])
		}
	}
	return nil
}

var leadingVersion = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?`)

// parseOSRelease reads KEY=value lines, the value quoted as in a shell or not.
func parseOSRelease(b []byte) map[string]string {
	r := map[string]string{}
	for line := range bytes.Lines(b) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		r[key] = shellUnescape.Replace(value)
	}
	return r
}

var shellUnescape = strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`)
