package otlp

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"signalbox/internal/httpserver"
	"signalbox/internal/tenant"
)

// Handler receives OTLP metrics and writes them to a sink. It is safe for
// concurrent use and starts no goroutine.
type Handler struct {
	sink     storage.AppendableV2
	cfg      Config
	log      *slog.Logger
	m        *metrics
	settings prometheusremotewrite.Settings
	lookback time.Duration
	labels   otlptranslator.LabelNamer
	names    otlptranslator.MetricNamer
	deltas   *deltas
	batches  sync.Pool
}

// New makes the door over sink. cfg is as Config.Validate accepts it.
func New(sink storage.AppendableV2, cfg Config, opts Options) *Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Registry == nil {
		opts.Registry = prometheus.NewRegistry()
	}
	if opts.LookbackDelta <= 0 {
		opts.LookbackDelta = 5 * time.Minute
	}
	strategy := otlptranslator.TranslationStrategyOption(cfg.TranslationStrategy)
	h := &Handler{
		sink:     sink,
		cfg:      cfg,
		log:      opts.Logger.With("component", "otlp"),
		m:        newMetrics(opts.Registry),
		lookback: opts.LookbackDelta,
		labels: otlptranslator.LabelNamer{
			UTF8Allowed:                 !strategy.ShouldEscape(),
			UnderscoreLabelSanitization: true, //nolint:staticcheck // Prometheus' default
			PreserveMultipleUnderscores: true,
		},
		names:  otlptranslator.NewMetricNamer("", strategy),
		deltas: newDeltas(cfg.MaxDeltaSeries, cfg.DeltaStaleness),
		settings: prometheusremotewrite.Settings{
			AddMetricSuffixes: strategy.ShouldAddSuffixes(),
			AllowUTF8:         !strategy.ShouldEscape(),
			PromoteResourceAttributes: prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{
				PromoteResourceAttributes:    cfg.PromoteResourceAttributes,
				PromoteAllResourceAttributes: cfg.PromoteAllResourceAttributes,
				IgnoreResourceAttributes:     cfg.IgnoreResourceAttributes,
			}),
			KeepIdentifyingResourceAttributes:    cfg.KeepIdentifyingResourceAttributes,
			ConvertHistogramsToNHCB:              cfg.ConvertHistogramsToNHCB,
			PromoteScopeMetadata:                 cfg.PromoteScopeMetadata,
			LookbackDelta:                        opts.LookbackDelta,
			LabelNameUnderscoreSanitization:      true,
			LabelNamePreserveMultipleUnderscores: true,
		},
	}
	h.batches.New = func() any { return newBatch(h) }
	registerDelta(opts.Registry, h.deltas)
	return h
}

// Register mounts the standard OTLP/HTTP path and the one Prometheus uses.
func (h *Handler) Register(mux httpserver.Mux) {
	mux.Handle("/v1/metrics", h)
	mux.Handle("/api/v1/otlp/v1/metrics", h)
}

// Consume stores md for the tenant of ctx. It takes md over: the caller must
// not use it afterwards, unless md is marked read-only, in which case it is
// copied. rejected is the number of data points that were refused for good;
// what stands beside them is stored. An error means that nothing was stored;
// its class says whether sending again can help.
func (h *Handler) Consume(ctx context.Context, md pmetric.Metrics) (rejected int, err error) {
	out, err := h.consume(ctx, md)
	return out.refused, err
}

// outcome is what the sender is told.
type outcome struct {
	refused int
	message string
}

func (h *Handler) consume(ctx context.Context, md pmetric.Metrics) (outcome, error) {
	id, err := tenant.One(ctx)
	if err != nil {
		return outcome{}, err
	}
	if md.ResourceMetrics().Len() == 0 {
		return outcome{}, nil
	}
	if md.IsReadOnly() {
		own := pmetric.NewMetrics()
		md.CopyTo(own)
		md = own
	}
	b := h.batches.Get().(*batch)
	err = b.store(ctx, id, md)
	out := outcome{}
	h.m.received.Add(float64(b.received))
	if err != nil {
		h.m.failed.Add(float64(b.received))
	} else {
		b.count()
		out = outcome{refused: b.refusals.points, message: b.refusals.message()}
	}
	b.release()
	return out, err
}
