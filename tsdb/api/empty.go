package api

import (
	"fmt"
	"net/url"
	"runtime/debug"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
)

// What an endpoint shows when the program has nothing to show: empty lists,
// because clients do not expect null.

type noTargets struct{}

func (noTargets) ScrapePools() []string                       { return []string{} }
func (noTargets) TargetsActive() map[string][]*scrape.Target  { return nil }
func (noTargets) TargetsDropped() map[string][]*scrape.Target { return nil }
func (noTargets) TargetsDroppedCounts() map[string]int        { return map[string]int{} }
func (noTargets) ScrapePoolConfig(pool string) (*promconfig.ScrapeConfig, error) {
	return nil, fmt.Errorf("unknown scrape pool %q", pool)
}

type noAlertmanagers struct{}

func (noAlertmanagers) Alertmanagers() []*url.URL        { return nil }
func (noAlertmanagers) DroppedAlertmanagers() []*url.URL { return nil }

type noRules struct{}

func (noRules) RuleGroups() []*rules.Group           { return nil }
func (noRules) AlertingRules() []*rules.AlertingRule { return nil }

// memoryLimit is the soft memory limit of the process, in bytes.
func memoryLimit() int64 { return debug.SetMemoryLimit(-1) }
