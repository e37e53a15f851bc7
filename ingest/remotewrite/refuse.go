package remotewrite

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// refuse counts one refused sample or histogram of the current series, with the
// exemplars that went down with it, and tells the sender.
func (q *request) refuse(reason string, err error, exemplars int) {
	q.count(reason, 1)
	if exemplars > 0 {
		q.count(withoutSample, exemplars)
	}
	q.problem(1, func() string { return q.describe(err) })
}

// withoutSample is the reason of an exemplar that had no stored sample to ride on.
const withoutSample = "exemplar_without_sample"

// refuseOrFail refuses the record that err is about, or returns err when it is
// about the request.
func (q *request) refuseOrFail(err error, exemplars int) error {
	if reason, ok := refusal(err); ok {
		q.refuse(reason, err, exemplars)
		return nil
	}
	if isUnknownRef(err) {
		return fault.New(fault.Internal, "the store does not know a reference though it has the labels: %w", err)
	}
	return err
}

// refuseSeries refuses a whole series for its labels or references. Version 1
// senders are not told: upstream's receiver skips such series with 204.
func (q *request) refuseSeries(err *fault.Error, c contents) {
	q.count(err.Reason, max(1, c.samples+c.histograms))
	if c.exemplars > 0 {
		q.count(withoutSample, c.exemplars)
	}
	if q.version == 2 {
		q.problem(max(1, c.samples+c.histograms), func() string { return q.describe(err) })
	}
}

// refuseExemplar refuses one exemplar of the current series. Version 1 has no
// way to say so.
func (q *request) refuseExemplar(err *fault.Error) {
	q.count(err.Reason, 1)
	if q.version == 2 {
		q.problem(1, func() string { return q.describe(err) })
	}
}

// refusePartly counts what the store did with the n exemplars of a sample that
// it has stored. Of these faults upstream reports one: out of order.
func (q *request) refusePartly(partial *storage.AppendPartialError, n int) {
	q.exemplars += max(0, n-len(partial.ExemplarErrors))
	for _, err := range partial.ExemplarErrors {
		reason, ok := refusal(err)
		if !ok {
			reason = "exemplar_failed"
		}
		q.count(reason, 1)
		if q.version == 2 && errors.Is(err, storage.ErrOutOfOrderExemplar) {
			q.problem(1, func() string { return q.describe(err) })
		}
	}
}

// describe names the current series and what is wrong with it.
func (q *request) describe(err error) string {
	q.labels.reset()
	if q.version == 2 {
		for i := 1; i < len(q.cur.refs); i += 2 {
			if pair := q.cur.refs[i-1 : i+1]; q.symbols.checkRefs(pair) == nil {
				q.labels.addRefs(&q.symbols, pair)
			}
		}
	} else {
		// What does not parse is shown as far as it did.
		_ = q.labels.addFields(q.cur.src)
	}
	return fmt.Sprintf("series %s: %s", q.labels.describe(), short(err.Error()))
}
