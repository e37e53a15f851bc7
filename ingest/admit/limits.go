package admit

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what one tenant may send. Zero means "no limit" throughout.
type Limits struct {
	// Samples a second that the tenant may send, averaged; over it requests answer 429.
	SamplesPerSecond float64 `yaml:"samples_per_second"`
	// Samples that may arrive at once beyond samples_per_second.
	SamplesBurst int `yaml:"samples_burst"`
	// Labels a series may have, the metric name included.
	MaxLabels int `yaml:"max_labels"`
	// Bytes a label name may have.
	MaxLabelNameBytes int `yaml:"max_label_name_bytes"`
	// Bytes a label value may have.
	MaxLabelValueBytes int `yaml:"max_label_value_bytes"`
	// Age at which a sample is refused as too old; the store's out_of_order_window may refuse earlier.
	MaxSampleAge time.Duration `yaml:"max_sample_age"`
	// How far ahead of our clock a sample may be.
	MaxSampleAhead time.Duration `yaml:"max_sample_ahead"`
}

// DefaultLimits suits one trusting team: no rate limit, bounds against accidents.
func DefaultLimits() Limits {
	return Limits{
		MaxLabels:          100,
		MaxLabelNameBytes:  1024,
		MaxLabelValueBytes: 8192,
		MaxSampleAhead:     10 * time.Minute,
	}
}

// Validate reports every limit that cannot be meant.
func (l *Limits) Validate() error {
	var errs []error
	neg := func(name string, bad bool) {
		if bad {
			errs = append(errs, fmt.Errorf("%s: must not be negative", name))
		}
	}
	neg("samples_per_second", l.SamplesPerSecond < 0)
	neg("samples_burst", l.SamplesBurst < 0)
	neg("max_labels", l.MaxLabels < 0)
	neg("max_label_name_bytes", l.MaxLabelNameBytes < 0)
	neg("max_label_value_bytes", l.MaxLabelValueBytes < 0)
	neg("max_sample_age", l.MaxSampleAge < 0)
	neg("max_sample_ahead", l.MaxSampleAhead < 0)
	return errors.Join(errs...)
}
