package tsdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"

	"signalbox/internal/vfs"
)

// metadataEntry is the type, help and unit of one metric family.
type metadataEntry struct {
	family string
	meta   metadata.Metadata
}

func (e metadataEntry) clone() metadataEntry {
	return metadataEntry{strings.Clone(e.family), metadata.Metadata{
		Type: model.MetricType(strings.Clone(string(e.meta.Type))), Unit: strings.Clone(e.meta.Unit), Help: strings.Clone(e.meta.Help),
	}}
}

// size is about what the entry takes in the journal.
func (e metadataEntry) size() int {
	return metadataHeader + len(e.family) + len(e.meta.Type) + len(e.meta.Unit) + len(e.meta.Help) + 4
}

// Bounds on what senders can make us remember.
const (
	maxFamilies    = 200_000
	maxPerFamily   = 8 // different texts of one family; the newest are kept
	maxMetaText    = 4 << 10
	maxMetaBytes   = 64 << 20 // of all entries together
	metadataMagic  = "SBMETA1\n"
	metadataHeader = 8 // length and checksum before each record
)

// metadataStore keeps the metadata of a tenant in memory and in a journal
// (docs/storage-metrics.md), written before the samples that came with it are
// acknowledged.
type metadataStore struct {
	disk   vfs.FS
	name   string
	sync   bool
	mu     sync.RWMutex
	file   vfs.File
	by     map[string][]metadata.Metadata // newest last
	bytes  int                            // of the journal
	closed bool
	live   int // bytes the journal would have without what was replaced
}

// openMetadata reads the journal and drops what is behind the first damage,
// which a crash can leave at its end.
func openMetadata(disk vfs.FS, name string, syncAlways bool) (*metadataStore, error) {
	m := &metadataStore{disk: disk, name: name, sync: syncAlways, by: map[string][]metadata.Metadata{}}
	data, err := vfs.ReadFile(disk, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("metadata journal: %w", err)
	}
	good := 0
	if strings.HasPrefix(string(data[:min(len(data), len(metadataMagic))]), metadataMagic) {
		good = len(metadataMagic)
		for {
			e, n, err := decodeMetadata(data[good:])
			if err != nil || n == 0 {
				break
			}
			m.putLocked(e)
			good += n
		}
	}
	if good != len(data) || len(data) == 0 {
		return m, m.rewriteLocked()
	}
	m.bytes = good
	m.file, err = disk.OpenAppend(name)
	return m, err
}

var errMetadata = errors.New("metadata journal: damaged record")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// decodeMetadata reads one record: u32 length, u32 CRC-32C of the payload, and
// the payload: family, type, unit, help, each a uvarint length and bytes.
// n is 0 at the end of data.
func decodeMetadata(data []byte) (e metadataEntry, n int, err error) {
	if len(data) == 0 {
		return e, 0, nil
	}
	if len(data) < metadataHeader {
		return e, 0, errMetadata
	}
	size := binary.LittleEndian.Uint32(data)
	if uint64(size) > uint64(len(data)-metadataHeader) {
		return e, 0, errMetadata
	}
	p := data[metadataHeader : metadataHeader+int(size)]
	if crc32.Checksum(p, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		return e, 0, errMetadata
	}
	var f [4]string
	for i := range f {
		l, w := binary.Uvarint(p)
		if w <= 0 || l > uint64(len(p)-w) {
			return e, 0, errMetadata
		}
		f[i] = string(p[w : w+int(l)])
		p = p[w+int(l):]
	}
	if len(p) != 0 {
		return e, 0, errMetadata
	}
	return metadataEntry{f[0], metadata.Metadata{Type: model.MetricType(f[1]), Unit: f[2], Help: f[3]}}, metadataHeader + int(size), nil
}

func appendMetadata(dst []byte, e metadataEntry) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, metadataHeader)...)
	for _, s := range []string{e.family, string(e.meta.Type), e.meta.Unit, e.meta.Help} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	p := dst[at+metadataHeader:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(p)))
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(p, castagnoli))
	return dst
}

// known reports whether adding m would change nothing.
func (s *metadataStore) known(family string, m metadata.Metadata) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Contains(s.by[family], cut(m)) || s.fullLocked(metadataEntry{family, m})
}

// fullLocked reports whether there is no room for an entry: what comes then is
// left out, because metadata are a help and no data.
func (s *metadataStore) fullLocked(e metadataEntry) bool {
	_, ok := s.by[e.family]
	return !ok && len(s.by) >= maxFamilies || s.live+e.size() > maxMetaBytes
}

// cut shortens a text that nobody would read.
func cut(m metadata.Metadata) metadata.Metadata {
	if len(m.Help) > maxMetaText {
		m.Help = strings.ToValidUTF8(m.Help[:maxMetaText], "")
	}
	if len(m.Unit) > maxMetaText {
		m.Unit = strings.ToValidUTF8(m.Unit[:maxMetaText], "")
	}
	return m
}

// latest returns the newest entry of a family, with strings of the store.
func (s *metadataStore) latest(family string) metadataEntry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if have := s.by[family]; len(have) > 0 {
		return metadataEntry{family, have[len(have)-1]}
	}
	return metadataEntry{}
}

// add writes entries to the journal and then shows them.
func (s *metadataStore) add(es []metadataEntry) error {
	if len(es) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	var rec []byte
	for _, e := range es {
		e.meta = cut(e.meta)
		if slices.Contains(s.by[e.family], e.meta) || s.fullLocked(e) {
			continue
		}
		rec = appendMetadata(rec, e)
	}
	if len(rec) == 0 {
		return nil
	}
	if s.file == nil {
		if err := s.rewriteLocked(); err != nil {
			return err
		}
	}
	if err := s.writeLocked(rec); err != nil {
		// What the file holds now is unknown: the next add writes it anew.
		_ = s.file.Close()
		s.file = nil
		return fmt.Errorf("metadata journal: %w", err)
	}
	s.bytes += len(rec)
	for _, e := range es {
		if e.meta = cut(e.meta); !s.fullLocked(e) {
			s.putLocked(e)
		}
	}
	if s.bytes > 2*s.live+1<<16 {
		return s.rewriteLocked()
	}
	return nil
}

func (s *metadataStore) writeLocked(rec []byte) error {
	if _, err := s.file.Write(rec); err != nil {
		return err
	}
	if s.sync {
		return s.file.Sync()
	}
	return nil
}

func (s *metadataStore) putLocked(e metadataEntry) {
	have := s.by[e.family]
	if slices.Contains(have, e.meta) {
		return
	}
	s.live += e.size()
	if len(have) == maxPerFamily {
		s.live -= metadataEntry{e.family, have[0]}.size()
		have = slices.Clone(have[1:])
	}
	s.by[e.family] = append(slices.Clip(have), e.meta)
}

// rewriteLocked replaces the journal by one that holds just what is in memory.
func (s *metadataStore) rewriteLocked() error {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	buf := []byte(metadataMagic)
	for family, ms := range s.by {
		for _, m := range ms {
			buf = appendMetadata(buf, metadataEntry{family, m})
		}
	}
	if err := vfs.WriteFileAtomic(s.disk, s.name, buf); err != nil {
		return fmt.Errorf("metadata journal: %w", err)
	}
	f, err := s.disk.OpenAppend(s.name)
	if err != nil {
		return fmt.Errorf("metadata journal: %w", err)
	}
	s.file, s.bytes, s.live = f, len(buf), len(buf)
	return nil
}

// snapshot returns the metadata of one family, or of all when it is "".
// The newest entry of a family comes first.
func (s *metadataStore) snapshot(family string, into map[string][]metadata.Metadata) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	put := func(f string, ms []metadata.Metadata) {
		for _, m := range slices.Backward(ms) {
			if !slices.Contains(into[f], m) {
				into[f] = append(into[f], m)
			}
		}
	}
	if family != "" {
		if ms, ok := s.by[family]; ok {
			put(family, ms)
		}
		return
	}
	for f, ms := range s.by {
		put(f, ms)
	}
}

func (s *metadataStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
