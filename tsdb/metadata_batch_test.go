package tsdb

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"

	"signalbox/internal/fault"
	"signalbox/internal/vfs"
)

// However many families a request brings, the journal is written and synced once.
func TestSetMetadataIsOneWrite(t *testing.T) {
	var writes, syncs atomic.Int64
	script := func(op vfs.Op, path string) error {
		if strings.HasSuffix(path, "metadata.log") {
			switch op {
			case vfs.OpWrite:
				writes.Add(1)
			case vfs.OpSync:
				syncs.Add(1)
			}
		}
		return nil
	}
	db := open(t, t.TempDir(), func(c *Config) { c.WALSync = SyncAlways }, Options{FS: vfs.NewFaulty(vfs.OS{}, script)})
	ctx := context.Background()
	first := map[string][]metadata.Metadata{"first": {{Type: model.MetricTypeGauge}}}
	require.NoError(t, db.SetMetadata(ctx, first)) // makes the tenant
	writes.Store(0)
	syncs.Store(0)

	want := map[string][]metadata.Metadata{}
	for i := range 500 {
		want[fmt.Sprint("m", i)] = []metadata.Metadata{{Type: model.MetricTypeCounter, Help: "Old."}, {Type: model.MetricTypeCounter, Help: "New."}}
	}
	bad := map[string][]metadata.Metadata{"": {{}}, strings.Repeat("x", maxMetaText+1): {{}}}
	for k, v := range bad {
		want[k] = v
	}
	err := db.SetMetadata(ctx, want)
	require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	require.Equal(t, "invalid_metadata", fault.ReasonOf(err))
	require.EqualValues(t, 1, writes.Load())
	require.EqualValues(t, 1, syncs.Load())

	got, err := db.Metadata(ctx, "")
	require.NoError(t, err)
	require.Len(t, got, 501, "a bad name does not cost the others")
	require.Equal(t, []string{"New.", "Old."}, []string{got["m7"][0].Help, got["m7"][1].Help}, "the newest first")

	for k := range bad {
		delete(want, k)
	}
	require.NoError(t, db.SetMetadata(ctx, want))
	require.EqualValues(t, 1, writes.Load(), "what is known is not written again")
}
