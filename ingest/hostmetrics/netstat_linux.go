package hostmetrics

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
)

var netstatFields = regexp.MustCompile(`^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$`)

// netstat reads the counters of the network protocols.
func (c *Collector) netstat(e *emitter) error {
	put := func(name string, v float64) {
		if netstatFields.MatchString(name) {
			e.untyped("node_netstat_"+name, "Statistic "+strings.ReplaceAll(name, "_", "")+".", v)
		}
	}
	for _, file := range []struct {
		name     string
		parse    func([]byte, func(string, float64)) error
		optional bool
	}{
		{"net/netstat", parseNetstat, false}, {"net/snmp", parseNetstat, false}, {"net/snmp6", parseSNMP6, true},
	} {
		b, err := c.readProc(file.name)
		if file.optional && errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return err
		}
		if err := file.parse(b, put); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return nil
}

// parseNetstat reads pairs of lines: "Ip: Forwarding InHdr", "Ip: 1 0".
func parseNetstat(b []byte, put func(name string, v float64)) error {
	var names []string
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if names == nil {
			names = f
			continue
		}
		if len(f) == 0 || len(f) != len(names) || f[0] != names[0] {
			return fmt.Errorf("unexpected line %q", line)
		}
		protocol := strings.TrimSuffix(f[0], ":")
		for i := 1; i < len(f); i++ {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return fmt.Errorf("%s %s: %w", protocol, names[i], err)
			}
			put(protocol+"_"+names[i], v)
		}
		names = nil
	}
	return nil
}

// parseSNMP6 reads lines like "Ip6InOctets 12" as Ip6_InOctets.
func parseSNMP6(b []byte, put func(name string, v float64)) error {
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 2 {
			continue
		}
		protocol, name, ok := strings.Cut(f[0], "6")
		if !ok {
			return fmt.Errorf("unexpected line %q", line)
		}
		v, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
		put(protocol+"6_"+name, v)
	}
	return nil
}

// sockstat reads how many sockets there are and what memory they hold.
func (c *Collector) sockstat(e *emitter) error {
	put := func(name string, v float64) {
		e.gauge("node_sockstat_"+name, "Number of sockets: "+name+".", v)
	}
	b, err := c.readProc("net/sockstat")
	if err != nil {
		return err
	}
	if err := parseSockstat(b, put); err != nil {
		return err
	}
	b, err = c.readProc("net/sockstat6")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no IPv6
	}
	if err != nil {
		return err
	}
	return parseSockstat(b, put)
}

// parseSockstat reads lines like "TCP: inuse 4 mem 1". mem is in pages and is
// also given in bytes.
func parseSockstat(b []byte, put func(name string, v float64)) error {
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) == 0 {
			continue
		}
		if len(f)%2 != 1 {
			return fmt.Errorf("sockstat: unexpected line %q", line)
		}
		protocol := strings.TrimSuffix(f[0], ":")
		for i := 1; i < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i+1], 64)
			if err != nil {
				return fmt.Errorf("sockstat: %s %s: %w", protocol, f[i], err)
			}
			put(protocol+"_"+f[i], v)
			if f[i] == "mem" {
				put(protocol+"_mem_bytes", v*float64(os.Getpagesize()))
			}
		}
	}
	return nil
}
