package config

import (
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// secretKey matches keys whose values are secrets in Prometheus' and the
// Collector's sections. Keys that end in _file or _ref name where a secret is,
// not what it is.
var secretKey = regexp.MustCompile(`(?i)passw|secret|token|credential|api_?key|private_?key|key_pem|access_?key|passphrase|authorization|cookie|signature|connection_string|^auth$|^sasl_`)

var notSecretKey = regexp.MustCompile(`(?i)(_file|_path|_url|_ref|_id|credentials_type|secret_name)s?$`)

// openKeys match secretKey but hold settings, with more keys inside.
var openKeys = regexp.MustCompile(`(?i)^(auth|authorization|credentials)$`)

// maskNode copies a tree with stars in place of secrets: values under keys that
// name one, and passwords in URLs. ${env:NAME} stays, as it gives nothing away.
func maskNode(n *yaml.Node) *yaml.Node { return maskUnder(stripComments(n), false) }

func maskUnder(n *yaml.Node, secret bool) *yaml.Node {
	switch n.Kind {
	case yaml.ScalarNode:
		if secret {
			maskScalar(n)
		} else {
			n.Value = maskURL(n.Value)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i].Value, n.Content[i+1]
			// "authorization: {type, credentials}" is a mapping of settings.
			// Headers may carry a secret under any name.
			if v.Kind == yaml.MappingNode && strings.HasSuffix(strings.ToLower(k), "headers") {
				maskUnder(v, true)
				continue
			}
			inside := secretKey.MatchString(k) && !notSecretKey.MatchString(k) && (v.Kind != yaml.MappingNode || !openKeys.MatchString(k))
			maskUnder(v, secret || inside)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			maskUnder(item, secret)
		}
	default:
	}
	return n
}

func maskScalar(n *yaml.Node) {
	if n.Value == "" || n.ShortTag() == "!!null" || n.ShortTag() == "!!bool" || envRef.ReplaceAllString(n.Value, "") == "" {
		return
	}
	n.Value, n.Tag, n.Style = masked, "!!str", yaml.DoubleQuotedStyle
}

var userinfo = regexp.MustCompile(`(://[^/?#\s@:]*:)([^/?#\s]+)(@)`)

// maskURL stars the password of every URL in a text, and the query parameters
// of a URL whose names sound like secrets.
func maskURL(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	s = userinfo.ReplaceAllStringFunc(s, func(m string) string {
		g := userinfo.FindStringSubmatch(m)
		if envRef.ReplaceAllString(g[2], "") == "" {
			return m
		}
		return g[1] + masked + g[3]
	})
	base, query, ok := strings.Cut(s, "?")
	if !ok {
		return s
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		if k, v, _ := strings.Cut(p, "="); v != "" && secretKey.MatchString(unescape(k)) {
			parts[i] = k + "=" + masked
		}
	}
	return base + "?" + strings.Join(parts, "&")
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}
