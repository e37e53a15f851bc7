package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Formats of the log.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Config is what an operator may write under `log`.
type Config struct {
	// Least severe lines that are written: `debug`, `info`, `warn` or `error`.
	Level string `yaml:"level"`
	// Form of a line: `text` (time, level, message, key=value; coloured on a terminal) or `json`.
	Format string `yaml:"format"`
}

// DefaultConfig logs state changes, as text.
func DefaultConfig() Config { return Config{Level: "info", Format: FormatText} }

// Validate reports every option that cannot be meant.
func (c *Config) Validate() (warnings []string, err error) {
	var errs []error
	if _, err := parseLevel(c.Level); err != nil {
		errs = append(errs, err)
	}
	if c.Format != FormatText && c.Format != FormatJSON {
		errs = append(errs, fmt.Errorf("format: %q is neither %q nor %q", c.Format, FormatText, FormatJSON))
	}
	return nil, errors.Join(errs...)
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("level: %q is none of debug, info, warn, error", s)
}
