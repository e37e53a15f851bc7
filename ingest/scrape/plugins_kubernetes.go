package scrape

// Kubernetes discovery is by far the heaviest plugin (a typed client for the
// whole API). It is worth it: Kubernetes users cannot do without.
import _ "github.com/prometheus/prometheus/discovery/kubernetes" // Register kubernetes_sd_configs.
