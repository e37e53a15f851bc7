package scrape

import (
	"sort"

	"github.com/prometheus/prometheus/discovery"
	// Each import registers its *_sd_configs keys with Prometheus' configuration.
	_ "github.com/prometheus/prometheus/discovery/aws"
	_ "github.com/prometheus/prometheus/discovery/consul"
	_ "github.com/prometheus/prometheus/discovery/dns"
	_ "github.com/prometheus/prometheus/discovery/file"
	_ "github.com/prometheus/prometheus/discovery/http"
	_ "github.com/prometheus/prometheus/discovery/moby"
)

// includedDiscoveries lists the keys of a scrape configuration under which
// targets may be named in this build, sorted.
func includedDiscoveries() []string {
	keys := make([]string, 0, 16)
	for _, name := range discovery.RegisteredConfigNames() {
		if name == "static" {
			keys = append(keys, "static_configs")
			continue
		}
		keys = append(keys, name+"_sd_configs")
	}
	sort.Strings(keys)
	return keys
}
