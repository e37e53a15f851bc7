package remotewrite

import (
	"context"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// MetadataSink keeps what metric families are: their types, units and helps. The
// tenant is in the context. It is called at most once for a request, before the
// samples are committed, and only with what differs from the last that was said
// of a name, as far as the caller remembers. Of each family the newest comes last.
//
// With an error of class Invalid what is wrong was left out and the rest kept;
// with any other nothing was, and a version 1 request fails. The map and the
// strings may be kept.
type MetadataSink interface {
	SetMetadata(ctx context.Context, families map[string][]metadata.Metadata) error
}

// metricTypes is indexed by the enum, which is the same in both versions.
var metricTypes = [...]model.MetricType{
	model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
	model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
}

func metricType(enum uint64) model.MetricType {
	if enum < uint64(len(metricTypes)) {
		return metricTypes[enum]
	}
	return model.MetricTypeUnknown
}

// metadataV1 handles one MetricMetadata message.
func (q *request) metadataV1(msg []byte) error {
	var typ uint64
	var family, help, unit []byte
	f := fields{b: msg}
	for f.next() {
		switch f.num {
		case 1:
			if f.want(typVarint) {
				typ = f.u
			}
		case 2:
			if f.want(typBytes) {
				family = f.data
			}
		case 4:
			if f.want(typBytes) {
				help = f.data
			}
		case 5:
			if f.want(typBytes) {
				unit = f.data
			}
		}
	}
	if f.err != nil {
		return f.err
	}
	if q.h.meta == nil {
		return nil
	}
	name, seeds := q.h.seeds.bytes(family), q.h.seeds
	sum := seeds.metadata(name, seeds.bytes(help), seeds.bytes(unit), typ)
	if q.metaCache.seen(name, sum) {
		return nil
	}
	q.noteMetadata(name, sum, borrow(family), metricType(typ), help, unit)
	return nil
}

// metaRefs is the Metadata message of a version 2 series.
type metaRefs struct {
	typ        uint64
	help, unit uint32
}

func decodeMetaRefs(msg []byte, m metaRefs) (metaRefs, error) {
	f := fields{b: msg}
	for f.next() {
		switch f.num {
		case 1:
			if f.want(typVarint) {
				m.typ = f.u
			}
		case 3:
			if f.want(typVarint) {
				m.help = uint32(f.u)
			}
		case 4:
			if f.want(typVarint) {
				m.unit = uint32(f.u)
			}
		}
	}
	return m, f.err
}

// metadataV2 notes the metadata of the current series unless that was the last
// said of its name.
func (q *request) metadataV2(m metaRefs) {
	if q.h.meta == nil || m == (metaRefs{}) {
		return
	}
	t := &q.symbols
	var nameRef uint32
	found := false
	for i := 1; i < len(q.cur.refs); i += 2 {
		if t.hashes[q.cur.refs[i-1]] == t.name {
			nameRef, found = q.cur.refs[i], true
			break
		}
	}
	if !found {
		return
	}
	name, seeds := t.hashes[nameRef], q.h.seeds
	sum := seeds.metadata(name, t.hashes[m.help], t.hashes[m.unit], m.typ)
	if q.metaCache.seen(name, sum) {
		return
	}
	typ := metricType(m.typ)
	q.noteMetadata(name, sum, family(t.borrow(nameRef), typ), typ, t.bytes(m.help), t.bytes(m.unit))
}

// family strips what a classic histogram or summary appends to the name of the
// family that its metadata belongs to.
func family(name string, typ model.MetricType) string {
	var suffixes []string
	switch typ {
	case model.MetricTypeHistogram:
		suffixes = []string{"_bucket", "_count", "_sum"}
	case model.MetricTypeGaugeHistogram:
		suffixes = []string{"_bucket", "_gcount", "_gsum"}
	case model.MetricTypeSummary:
		suffixes = []string{"_count", "_sum"}
	default:
		return name
	}
	for _, s := range suffixes {
		if base, ok := strings.CutSuffix(name, s); ok && base != "" {
			return base
		}
	}
	return name
}
