package otlp

import (
	"errors"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// errTargetDone stops the translation's own loop over target_info.
var errTargetDone = errors.New("target_info is written")

// maxTargetSamples bounds target_info for one resource and request. Without it
// one point of 1970 beside one of today would make eleven million samples.
const maxTargetSamples = 600

type targetKey struct {
	labels uint64 // hash
	time   int64  // ms
}

// targetInfo writes target_info for the points of this resource that were
// accepted: from the earliest to the latest, at half the lookback delta, and at
// the latest. The translation calls Append for the first sample of that series;
// the labels are its, the times are ours.
func (r *recorder) targetInfo(ls labels.Labels, opts storage.AOptions) error {
	if r.accepted == 0 {
		return errTargetDone
	}
	step := max(1, r.h.lookback.Milliseconds()/2)
	hash := ls.Hash()
	for t := max(r.first, r.last-maxTargetSamples*step); t < r.last; t += step {
		if err := r.target(ls, hash, t, opts); err != nil {
			return err
		}
	}
	if err := r.target(ls, hash, r.last, opts); err != nil {
		return err
	}
	return errTargetDone
}

// target writes one sample, unless another resource of this request has.
func (r *recorder) target(ls labels.Labels, hash uint64, t int64, opts storage.AOptions) error {
	key := targetKey{hash, t}
	if _, ok := r.targets[key]; ok {
		return nil
	}
	r.targets[key] = struct{}{}
	if _, err := r.AppenderV2.Append(0, ls, 0, t, 1, nil, nil, opts); err != nil {
		if err = r.judge(err); r.fatal != nil {
			return r.fatal
		}
		if err != nil {
			r.h.m.targets.Inc()
		}
	}
	return nil
}
