package config

import (
	"fmt"
	"slices"
	"strings"
)

// notOurs answers keys that people bring along from other programs' files.
var notOurs = map[string]string{
	"rule_files":   "recording and alerting rules are not part of this version",
	"alerting":     "recording and alerting rules are not part of this version",
	"remote_write": "sending samples on is not part of this version; the receiver is configured under remote_write_receiver",
	"remote_read":  "reading from other servers is not part of this version",
	"receivers":    "the Collector's sections go under collector",
	"processors":   "the Collector's sections go under collector",
	"exporters":    "the Collector's sections go under collector, and every pipeline ends in this program",
	"service":      "the Collector's sections go under collector",
	"extensions":   "the Collector's sections go under collector",
}

// unknownKey is the text for a key that has no meaning at path.
func unknownKey(path, key string, siblings []string, elsewhere map[string][]string) error {
	if path == "" {
		if why, ok := notOurs[key]; ok {
			return fmt.Errorf("unknown key: %s", why)
		}
	}
	if s := nearest(key, siblings); s != "" {
		return fmt.Errorf("unknown key, did you mean %q?", s)
	}
	if at := elsewhere[key]; len(at) > 0 {
		return fmt.Errorf("unknown key here, did you mean %q?", at[0])
	}
	return fmt.Errorf("unknown key; known here: %s", strings.Join(siblings, ", "))
}

// nearest returns the candidate that key is most likely a misspelling of, or "".
func nearest(key string, candidates []string) string {
	norm := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "_", ".", "_").Replace(s))
	}
	k := norm(key)
	best, bestDist := "", max(1, min(3, len(k)/3))+1
	for _, c := range candidates {
		if strings.ReplaceAll(norm(c), "_", "") == strings.ReplaceAll(k, "_", "") {
			return c
		}
		if d := distance(k, c); d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

// distance is the number of letters to change, add, drop or swap with their
// neighbour to get from a to b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // no key is that long; keeps a huge key from costing its square
		return len(a) + len(b)
	}
	var before []int
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev = prev, cur
	}
	return prev[len(b)]
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Nearest returns the candidate that a misspelt word most likely means, or "".
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }
