package remotewrite

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

const (
	// maxFamilyBytes bounds the name of a family, as the store does.
	maxFamilyBytes = 4 << 10
	// maxPerFamily is how many different texts of one family a request may
	// bring; the newest are kept.
	maxPerFamily = 8
)

// metaBatch gathers what a request says of metric names and the cache does not
// remember. It goes to the sink as a whole, because each call may cost a write
// to the disk.
type metaBatch struct {
	families map[string][]metadata.Metadata // copies, the sink's after the call
	names    []saidMeta                     // for the cache, in order
	known    map[key]struct{}               // sums of names
	n        int                            // entries of families
}

// saidMeta is what was said of a metric name, both as hashes.
type saidMeta struct{ name, sum key }

// noteMetadata validates and gathers. Version 2 repeats a family's metadata with
// every series, so most of what comes here is known already.
func (q *request) noteMetadata(name, sum key, fam string, typ model.MetricType, help, unit []byte) {
	b := &q.meta
	if _, ok := b.known[sum]; ok {
		return
	}
	if fam == "" || len(fam) > maxFamilyBytes || !utf8.ValidString(fam) || !utf8.Valid(help) || !utf8.Valid(unit) {
		q.count("bad_metadata", 1)
		return
	}
	if b.families == nil {
		b.families, b.known = map[string][]metadata.Metadata{}, map[key]struct{}{}
	}
	b.known[sum] = struct{}{}
	b.names = append(b.names, saidMeta{name, sum})

	m := metadata.Metadata{Type: typ, Unit: borrow(unit), Help: borrow(help)}
	have := b.families[fam]
	if slices.Contains(have, m) {
		return
	}
	if len(have) == maxPerFamily {
		have = slices.Delete(have, 0, 1)
		b.n--
	}
	m.Unit, m.Help = string(unit), string(help)
	b.families[strings.Clone(fam)] = append(have, m) // an assignment also replaces the key
	b.n++
}

// setMetadata hands on what was gathered. Only version 1 learns of failures,
// because version 2's metadata rides on samples, which must not suffer. What
// failed is not remembered, so that it is handed on when it comes again.
func (q *request) setMetadata(ctx context.Context) error {
	b := &q.meta
	if b.n == 0 {
		return nil
	}
	err := q.h.meta.SetMetadata(ctx, b.families)
	switch {
	case err == nil:
		q.metadata += b.n
		c := q.ensureMetaCache()
		for _, said := range b.names {
			c.set(said.name, said.sum)
		}
		return nil
	case q.version == 2:
		q.count("metadata_failed", b.n)
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
