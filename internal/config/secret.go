package config

import "log/slog"

// masked is what a secret looks like wherever it is shown.
const masked = "********"

// Secret is a value that is never shown: it prints, logs and marshals as stars.
type Secret string

// Reveal returns the value itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns stars, or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from showing the value.
func (s Secret) GoString() string { return s.String() }

// MarshalText makes JSON and YAML show stars.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = Secret(b)
	return nil
}

// LogValue makes slog show stars.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
