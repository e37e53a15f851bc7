package hostmetrics

import (
	"errors"
	"io/fs"
	"strconv"
)

// netdev reads /proc/net/dev.
func (c *Collector) netdev(e *emitter) error {
	proc, err := c.proc()
	if err != nil {
		return err
	}
	devices, err := proc.NetDev()
	if err != nil {
		return err
	}
	for name, d := range devices {
		if c.filters.networkDevices.MatchString(name) {
			continue
		}
		for _, m := range []struct {
			name string
			v    uint64
		}{
			{"receive_bytes", d.RxBytes}, {"receive_packets", d.RxPackets}, {"receive_errs", d.RxErrors},
			{"receive_drop", d.RxDropped}, {"receive_fifo", d.RxFIFO}, {"receive_frame", d.RxFrame},
			{"receive_compressed", d.RxCompressed}, {"receive_multicast", d.RxMulticast},
			{"transmit_bytes", d.TxBytes}, {"transmit_packets", d.TxPackets}, {"transmit_errs", d.TxErrors},
			{"transmit_drop", d.TxDropped}, {"transmit_fifo", d.TxFIFO}, {"transmit_colls", d.TxCollisions},
			{"transmit_carrier", d.TxCarrier}, {"transmit_compressed", d.TxCompressed},
		} {
			e.counter("node_network_"+m.name+"_total", "Network device statistic "+m.name+".", float64(m.v), "device", name)
		}
	}
	return nil
}

// netclass reads /sys/class/net: state, speed and size of packets.
func (c *Collector) netclass(e *emitter) error {
	sys, err := c.sys()
	if err != nil {
		return err
	}
	names, err := sys.NetClassDevices()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if c.filters.networkDevices.MatchString(name) {
			continue
		}
		d, err := sys.NetClassByIface(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since it was listed
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		up := 0.0
		if d.OperState == "up" {
			up = 1
		}
		e.gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.", up, "device", name)
		e.gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.", 1,
			"device", name, "address", d.Address, "broadcast", d.Broadcast, "duplex", d.Duplex, "operstate", d.OperState, "ifalias", d.IfAlias)
		gauge := func(metric, help string, v *int64) {
			if v != nil {
				e.gauge("node_network_"+metric, help, float64(*v), "device", name)
			}
		}
		counter := func(metric, help string, v *int64) {
			if v != nil {
				e.counter("node_network_"+metric, help, float64(*v), "device", name)
			}
		}
		gauge("carrier", "Carrier of the device.", d.Carrier)
		gauge("dormant", "Whether the device is dormant.", d.Dormant)
		gauge("flags", "Flags of the device.", d.Flags)
		gauge("iface_id", "Index of the device.", d.IfIndex)
		gauge("iface_link", "Index of the device it is linked to.", d.IfLink)
		gauge("iface_link_mode", "Link mode of the device.", d.LinkMode)
		gauge("mtu_bytes", "Largest packet of the device.", d.MTU)
		gauge("address_assign_type", "How the address was assigned.", d.AddrAssignType)
		gauge("name_assign_type", "How the name was assigned.", d.NameAssignType)
		gauge("net_dev_group", "Group of the device.", d.NetDevGroup)
		gauge("device_id", "Number of the device on its bus.", d.DevID)
		gauge("protocol_type", "Protocol of the device.", d.Type)
		gauge("transmit_queue_length", "Packets the transmit queue may hold.", d.TxQueueLen)
		counter("carrier_changes_total", "Changes of the carrier.", d.CarrierChanges)
		counter("carrier_up_changes_total", "Times the carrier came.", d.CarrierUpCount)
		counter("carrier_down_changes_total", "Times the carrier went.", d.CarrierDownCount)
		if d.Speed != nil && *d.Speed >= 0 { // -1: unknown
			e.gauge("node_network_speed_bytes", "Speed of the device in bytes a second.", float64(*d.Speed)*1e6/8, "device", name)
		}
	}
	return errors.Join(errs...)
}

// softnet reads /proc/net/softnet_stat: packets that processors could not keep up with.
func (c *Collector) softnet(e *emitter) error {
	proc, err := c.proc()
	if err != nil {
		return err
	}
	stats, err := proc.NetSoftnetStat()
	if err != nil {
		return err
	}
	for _, s := range stats {
		cpu := strconv.FormatUint(uint64(s.Index), 10)
		e.counter("node_softnet_processed_total", "Number of processed packets.", float64(s.Processed), "cpu", cpu)
		e.counter("node_softnet_dropped_total", "Number of dropped packets.", float64(s.Dropped), "cpu", cpu)
		e.counter("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota.", float64(s.TimeSqueezed), "cpu", cpu)
	}
	return nil
}

// arp counts the entries of the ARP table by device.
func (c *Collector) arp(e *emitter) error {
	proc, err := c.proc()
	if err != nil {
		return err
	}
	entries, err := proc.GatherARPEntries()
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, entry := range entries {
		counts[entry.Device]++
	}
	for device, n := range counts {
		e.gauge("node_arp_entries", "ARP entries by device.", float64(n), "device", device)
	}
	return nil
}

// conntrack reads how full the table of tracked connections is.
func (c *Collector) conntrack(e *emitter) error {
	n, err := c.readNumber("sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		return err
	}
	limit, err := c.readNumber("sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		return err
	}
	e.gauge("node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.", n)
	e.gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.", limit)
	return nil
}
