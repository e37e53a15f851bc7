package scrape

import (
	"errors"
	"fmt"
	"log/slog"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/logging"
)

// checkJob builds the parts of one job that may fail and drops them. Nothing of
// it starts a goroutine or opens a connection before it is run.
func checkJob(job *config.ScrapeConfig, sdMetrics *discovery.SDMetrics) error {
	var errs []error
	client, err := commonconfig.NewClientFromConfig(job.HTTPClientConfig, job.JobName)
	if err != nil {
		errs = append(errs, err)
	} else {
		client.CloseIdleConnections()
	}
	if file := job.ScrapeFailureLogFile; file != "" {
		log, err := logging.NewJSONFileLogger(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("scrape_failure_log_file: %w", err))
		} else if err = log.Close(); err != nil {
			errs = append(errs, fmt.Errorf("scrape_failure_log_file: %w", err))
		}
	}
	for _, sd := range job.ServiceDiscoveryConfigs {
		_, err := sd.NewDiscoverer(discovery.DiscovererOptions{
			Logger:  slog.New(slog.DiscardHandler),
			Metrics: sdMetrics.MechanismMetrics[sd.Name()],
			SetName: job.JobName,
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s_sd_configs: %w", sd.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// isBadHistogram reports whether err says that a native histogram contradicts
// itself: the fault of its sender, as the remote write door sees it too.
func isBadHistogram(err error) bool {
	_, bad := errors.AsType[histogram.Error](err)
	return bad
}
