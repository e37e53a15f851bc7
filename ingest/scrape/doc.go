// Package scrape pulls metrics from targets with Prometheus' own packages: its
// configuration, service discovery, scrape loops and relabeling, so that a
// scrape_configs section means here what it means there.
//
// Data path: discovery.Manager finds targets and hands them to scrape.Manager,
// whose loops fetch, parse and append through a gate into the sink. The gate
// adds the tenant, drops single samples that the sink refuses (a bad sample
// never costs its scrape) and waits for appenders at the end.
//
// Ownership: New builds, Run owns every goroutine and returns when the scrapes
// in flight have ended (at most one scrape_timeout after its context). A job
// that is removed by a reload gets no stale markers, as in Prometheus; its
// series end by the lookback of the query. A target that vanishes gets them.
//
// # Service discovery
//
// Every plugin is linked code, paid by all users. Bytes that each one adds to a
// stripped linux/amd64 binary of Prometheus' config and scrape packages
// (19.8 MB), measured at Prometheus 0.315.0:
//
//	file, http, dns         1.3 MB  included
//	consul                  1.1 MB  included
//	docker, dockerswarm     1.1 MB  included
//	ec2, lightsail, ecs, rds, msk,
//	elasticache (one package)       7.2 MB  included
//	kubernetes                     24.7 MB  included
//	all the others                          left out, unmeasured: azure,
//	                                digitalocean, eureka, gce, hetzner, ionos,
//	                                kuma, linode, marathon, nerve, nomad, oci,
//	                                openstack, outscale, ovhcloud, puppetdb,
//	                                scaleway, serverset, stackit, triton, uyuni,
//	                                vultr
//
// Targets known only to what is left out can be handed over through
// file_sd_configs or http_sd_configs.
package scrape
