package remotewrite

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"signalbox/internal/fault"
)

// maxHistogramBytes bounds one encoded histogram, because decoding can inflate
// it eightfold. The largest that Prometheus' own limits allow has a few KiB.
const maxHistogramBytes = 256 << 10

// native is one decoded value: v, or a native histogram in h or fh. Histograms
// own their memory: the store keeps the pointers until it has committed.
type native struct {
	v     float64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
	t, st int64 // ms; st is 0 when not stated
}

// decodeHistogram reads a Histogram message with the library's types, because
// histograms are few and large. The first error is the record's, the second
// the request's.
func decodeHistogram(b []byte, version int) (n native, refused *fault.Error, err error) {
	if len(b) > maxHistogramBytes {
		return n, fault.Refuse("bad_histogram", "the histogram has %d bytes, the limit is %d", len(b), maxHistogramBytes), nil
	}
	if version == 2 {
		var m writev2.Histogram
		if err := m.Unmarshal(b); err != nil {
			return n, nil, &wireError{err}
		}
		n.t, n.st = m.Timestamp, m.StartTimestamp
		if m.IsFloatHistogram() {
			n.fh = m.ToFloatHistogram()
		} else {
			n.h = m.ToIntHistogram()
		}
	} else {
		var m prompb.Histogram
		if err := m.Unmarshal(b); err != nil {
			return n, nil, &wireError{err}
		}
		n.t = m.Timestamp
		if m.IsFloatHistogram() {
			n.fh = m.ToFloatHistogram()
		} else {
			n.h = m.ToIntHistogram()
		}
	}
	if err := n.check(); err != nil {
		return n, fault.Refuse("bad_histogram", "%w", err), nil
	}
	return n, nil, nil
}

// check validates the histogram. Resolutions finer than the store's finest are
// reduced to it, as Prometheus does.
func (n *native) check() error {
	if n.fh != nil {
		if tooFine(n.fh.Schema) {
			if err := n.fh.ReduceResolution(histogram.ExponentialSchemaMax); err != nil {
				return err
			}
		}
		return n.fh.Validate()
	}
	if tooFine(n.h.Schema) {
		if err := n.h.ReduceResolution(histogram.ExponentialSchemaMax); err != nil {
			return err
		}
	}
	return n.h.Validate()
}

func tooFine(schema int32) bool {
	return schema > histogram.ExponentialSchemaMax && histogram.IsExponentialSchemaReserved(schema)
}
