package remotewrite

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/storage"

	"signalbox/internal/fault"
)

// write appends and commits one decoded request. On an error nothing was
// stored; records refused one by one are in the tally.
func (q *request) write(ctx context.Context, body []byte, sink storage.AppendableV2) error {
	if err := q.frame(body); err != nil {
		return undecodable(err)
	}
	q.app = sink.AppenderV2(ctx)
	ended := false
	defer func() {
		if ended {
			return
		}
		// Also when the store panics: an appender left open holds back its head.
		if err := q.app.Rollback(); err != nil {
			q.h.log.Warn("rollback failed", "err", err)
		}
	}()
	if err := q.appendBody(body); err != nil {
		return undecodable(err)
	}
	if err := q.setMetadata(ctx); err != nil {
		return err
	}
	ended = true
	if err := q.app.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	q.h.cache.put(q.tenant, q.pending)
	return nil
}

var (
	errUndecodable    = errors.New("the body is not a remote write message")
	errTooManyRecords = errors.New("the request has too many records")
)

// undecodable makes a fault of the encoding Invalid; other errors are the
// store's and keep their class.
func undecodable(err error) error {
	if w, ok := errors.AsType[*wireError](err); ok {
		return fault.New(fault.Invalid, "%w: %w", errUndecodable, w)
	}
	return err
}

// frame checks the outermost framing, so that a body that was cut short costs
// nothing, and reads version 2's symbols, which may stand behind the series.
// The versions number their fields apart (version 2 reserves 1 to 3), so that a
// message under the wrong Content-Type is noticed instead of read as empty.
func (q *request) frame(body []byte) error {
	if q.version == 2 {
		q.symbols.reset(body, q.h.seeds)
	}
	f := fields{b: body}
	for f.next() {
		switch {
		case f.num == schemas[3-q.version].inRequest && f.typ == typBytes:
			return errOtherVersion
		case f.num == q.schema.inRequest, q.version == 1 && f.num == 3:
			f.want(typBytes)
		case q.version == 2 && f.num == 4:
			if !f.want(typBytes) {
				break
			}
			if err := q.symbols.add(q.h.seeds, len(body)-len(f.b), len(f.data)); err != nil {
				return err
			}
		}
	}
	return f.err
}

func (q *request) appendBody(body []byte) error {
	f := fields{b: body}
	for f.next() {
		var err error
		switch {
		case f.num == q.schema.inRequest:
			err = q.series(f.data)
		case q.version == 1 && f.num == 3:
			if err = q.admit(1); err == nil {
				err = q.metadataV1(f.data)
			}
		}
		if err != nil {
			return err
		}
	}
	return q.attachLoose(body)
}
