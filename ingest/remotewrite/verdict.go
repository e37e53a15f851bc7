package remotewrite

import (
	"errors"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// unknownRef is the reason of the store's error for a reference that it has
// forgotten. It asks for labels and refuses nothing.
const unknownRef = "unknown_ref"

// refusal returns the reason for which err refuses one record. ok is false when
// err concerns the whole request.
func refusal(err error) (reason string, ok bool) {
	if e, found := errors.AsType[*fault.Error](err); found {
		if e.Class != fault.Invalid || e.Reason == unknownRef {
			return "", false
		}
		if e.Reason != "" {
			return e.Reason, true
		}
		if reason, ok = storeReason(err); ok {
			return reason, true
		}
		return "other", true
	}
	return storeReason(err)
}

// storeReason knows the errors of Prometheus' storage, which have no class.
func storeReason(err error) (reason string, ok bool) {
	switch {
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return "out_of_order", true
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return "duplicate_timestamp", true
	case errors.Is(err, storage.ErrOutOfBounds):
		return "out_of_bounds", true
	case errors.Is(err, storage.ErrTooOldSample):
		return "too_old", true
	case errors.Is(err, storage.ErrNativeHistogramsDisabled):
		return "native_histograms_disabled", true
	case errors.Is(err, storage.ErrOutOfOrderExemplar):
		return "exemplar_out_of_order", true
	case errors.Is(err, storage.ErrDuplicateExemplar):
		return "exemplar_duplicate", true
	case errors.Is(err, storage.ErrExemplarLabelLength):
		return "exemplar_labels_too_long", true
	case errors.Is(err, storage.ErrExemplarsDisabled):
		return "exemplars_disabled", true
	}
	if _, bad := errors.AsType[histogram.Error](err); bad {
		return "bad_histogram", true
	}
	return "", false
}

// isUnknownRef reports whether the store asks for the labels of a reference.
func isUnknownRef(err error) bool { return fault.ReasonOf(err) == unknownRef }
