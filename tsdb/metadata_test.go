package tsdb

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"signalbox/internal/vfs"
)

func entry(family, help string) metadataEntry {
	return metadataEntry{family, metadata.Metadata{Type: model.MetricTypeCounter, Unit: "s", Help: help}}
}

func all(s *metadataStore) map[string][]metadata.Metadata {
	out := map[string][]metadata.Metadata{}
	s.snapshot("", out)
	return out
}

func TestMetadataJournalSurvivesPowerLossAtEveryOperation(t *testing.T) {
	const name = "/t/metadata.log"
	// run adds entries until the disk fails and returns which were acknowledged.
	run := func(fs vfs.FS) (acked []string) {
		m, err := openMetadata(fs, name, true)
		if err != nil {
			return nil
		}
		defer m.close()
		for i := range 12 {
			family := fmt.Sprint("f", i)
			if m.add([]metadataEntry{entry(family, strings.Repeat("h", i))}) == nil {
				acked = append(acked, family)
			}
		}
		return acked
	}
	for n := int64(1); ; n++ {
		mem := vfs.NewMem()
		require.NoError(t, mem.MkdirAll("/t"))
		require.NoError(t, mem.SyncPath("/"))
		acked := run(vfs.NewFaulty(mem, vfs.FailFrom(n, vfs.ErrIO)))
		for _, torn := range []*rand.Rand{nil, rand.New(rand.NewPCG(uint64(n), 1)), rand.New(rand.NewPCG(uint64(n), 2))} {
			m, err := openMetadata(mem.LosePower(vfs.PowerLoss{Rand: torn}), name, true)
			require.NoError(t, err, "operation %d", n)
			got := all(m)
			for _, f := range acked {
				require.Contains(t, got, f, "operation %d", n)
			}
			require.NoError(t, m.add([]metadataEntry{entry("more", "x")}), "the journal goes on")
			require.NoError(t, m.close())
		}
		if len(acked) == 12 {
			return
		}
	}
}

func TestMetadataIsBounded(t *testing.T) {
	mem := vfs.NewMem()
	m, err := openMetadata(mem, "/m", false)
	require.NoError(t, err)
	for i := range 20_000 {
		require.NoError(t, m.add([]metadataEntry{entry("flapping", fmt.Sprint(i))}))
	}
	got := all(m)["flapping"]
	require.Len(t, got, maxPerFamily)
	require.Equal(t, "19999", got[0].Help, "the newest first")
	info, err := mem.Stat("/m")
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(300<<10), "the journal is rewritten")
	require.NoError(t, m.add([]metadataEntry{entry("long", strings.Repeat("é", 1<<20))}))
	require.LessOrEqual(t, len(all(m)["long"][0].Help), maxMetaText)
	require.NoError(t, m.close())
	again, err := openMetadata(mem, "/m", false)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(all(m), all(again)))
}

func TestMetadataJournalFailureIsToldAndMended(t *testing.T) {
	var sw vfs.Switch
	m, err := openMetadata(vfs.NewFaulty(vfs.NewMem(), sw.Script), "/m", false)
	require.NoError(t, err)
	sw.Set(vfs.ErrNoSpace)
	require.ErrorIs(t, m.add([]metadataEntry{entry("a", "")}), vfs.ErrNoSpace)
	require.Empty(t, all(m))
	sw.Set(nil)
	require.NoError(t, m.add([]metadataEntry{entry("b", "")}))
	require.Contains(t, all(m), "b")
}

func FuzzDecodeMetadata(f *testing.F) {
	f.Add(appendMetadata(nil, entry("f", "help")))
	f.Add(appendMetadata(appendMetadata(nil, entry("", "")), entry("g", "h")))
	f.Add([]byte{1, 0, 0, 0, 9, 9, 9, 9, 200})
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			e, n, err := decodeMetadata(data)
			if err != nil {
				if !errors.Is(err, errMetadata) {
					t.Fatal(err)
				}
				return
			}
			back, m, err := decodeMetadata(appendMetadata(nil, e))
			if err != nil || back != e || m == 0 {
				t.Fatalf("%q came back as %q (%v)", e, back, err)
			}
			data = data[n:]
		}
	})
}

// The page docs/storage-metrics.md shows this record.
func TestMetadataRecordLayout(t *testing.T) {
	got := appendMetadata(nil, metadataEntry{"up", metadata.Metadata{Type: "gauge", Unit: "", Help: "Up."}})
	require.Equal(t, []byte{14, 0, 0, 0}, got[:4])
	require.True(t, bytes.HasSuffix(got, []byte("\x02up\x05gauge\x00\x03Up.")), "%q", got)
	require.Equal(t, "0e000000c129bc97", fmt.Sprintf("%x", got[:8]))
}
