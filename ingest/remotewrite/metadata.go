package remotewrite

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

// MetadataSink keeps what a metric family is: its type, unit and help. The
// tenant is in the context. It is called only for what differs from the last
// call for the name, as far as the caller remembers.
//
// An error of class Invalid refuses this one; any other error of a version 1
// request fails the request. The strings may be kept.
type MetadataSink interface {
	SetMetadata(ctx context.Context, family string, m metadata.Metadata) error
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
func (q *request) metadataV1(ctx context.Context, msg []byte) error {
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
	return q.setMetadata(ctx, name, sum, borrow(family), metricType(typ), help, unit)
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

// metadataV2 hands on the metadata of the current series unless that was the
// last said of its name.
func (q *request) metadataV2(ctx context.Context, m metaRefs) error {
	if q.h.meta == nil || m == (metaRefs{}) {
		return nil
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
		return nil
	}
	name, seeds := t.hashes[nameRef], q.h.seeds
	sum := seeds.metadata(name, t.hashes[m.help], t.hashes[m.unit], m.typ)
	if q.metaCache.seen(name, sum) {
		return nil
	}
	typ := metricType(m.typ)
	return q.setMetadata(ctx, name, sum, family(t.borrow(nameRef), typ), typ, t.bytes(m.help), t.bytes(m.unit))
}

// setMetadata validates and hands on. Only version 1 learns of failures, because
// version 2's metadata rides on samples, which must not suffer.
func (q *request) setMetadata(ctx context.Context, name, sum key, fam string, typ model.MetricType, help, unit []byte) error {
	if fam == "" || !utf8.ValidString(fam) || !utf8.Valid(help) || !utf8.Valid(unit) {
		q.count("bad_metadata", 1)
		return nil
	}
	err := q.h.meta.SetMetadata(ctx, strings.Clone(fam), metadata.Metadata{Type: typ, Unit: string(unit), Help: string(help)})
	switch {
	case err == nil:
		q.metadata++
		q.ensureMetaCache().set(name, sum)
		return nil
	case q.version == 2:
		q.count("metadata_failed", 1)
		return nil
	}
	reason, ok := refusal(err)
	if !ok {
		return err
	}
	q.count(reason, 1)
	return nil
}

// ensureMetaCache returns the tenant's metadata cache, made on first use, or nil
// when the operator wants nothing remembered.
func (q *request) ensureMetaCache() *metaCache {
	if q.metaCache == nil {
		q.metaCache = q.h.cache.metaCache(q.tenant)
	}
	return q.metaCache
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
