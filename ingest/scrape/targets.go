package scrape

import (
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/scrape"
)

// TargetsActive returns the targets being scraped, by job.
func (s *Scraper) TargetsActive() map[string][]*scrape.Target { return s.manager.TargetsActive() }

// TargetsDropped returns targets that relabeling dropped, by job, as many of
// them as keep_dropped_targets allows.
func (s *Scraper) TargetsDropped() map[string][]*scrape.Target { return s.manager.TargetsDropped() }

// TargetsDroppedCounts returns how many targets relabeling dropped, by job.
func (s *Scraper) TargetsDroppedCounts() map[string]int { return s.manager.TargetsDroppedCounts() }

// ScrapePools returns the names of the jobs that have a pool, in no order.
func (s *Scraper) ScrapePools() []string { return s.manager.ScrapePools() }

// ScrapePoolConfig returns the section of one job, an error if there is no such
// pool. The caller must not change it.
func (s *Scraper) ScrapePoolConfig(job string) (*promconfig.ScrapeConfig, error) {
	return s.manager.ScrapePoolConfig(job)
}

// PrometheusConfig returns the sections in use, for /api/v1/status/config. The
// caller must not change them.
func (s *Scraper) PrometheusConfig() *promconfig.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.cfg.PrometheusConfig()
}
