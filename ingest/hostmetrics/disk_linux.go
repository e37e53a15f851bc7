package hostmetrics

// sector is the unit of /proc/diskstats, whatever the disk's own is.
const sector = 512

// diskstats reads /proc/diskstats.
func (c *Collector) diskstats(e *emitter) error {
	block, err := c.block()
	if err != nil {
		return err
	}
	disks, err := block.ProcDiskstats()
	if err != nil {
		return err
	}
	for _, d := range disks {
		if c.filters.disks.MatchString(d.DeviceName) {
			continue
		}
		counter := func(name, help string, v float64) {
			e.counter("node_disk_"+name, help, v, "device", d.DeviceName)
		}
		ms := func(ticks uint64) float64 { return float64(ticks) / 1000 }
		counter("reads_completed_total", "The total number of reads completed successfully.", float64(d.ReadIOs))
		counter("reads_merged_total", "The total number of reads merged.", float64(d.ReadMerges))
		counter("read_bytes_total", "The total number of bytes read successfully.", float64(d.ReadSectors)*sector)
		counter("read_time_seconds_total", "The total number of seconds spent by all reads.", ms(d.ReadTicks))
		counter("writes_completed_total", "The total number of writes completed successfully.", float64(d.WriteIOs))
		counter("writes_merged_total", "The number of writes merged.", float64(d.WriteMerges))
		counter("written_bytes_total", "The total number of bytes written successfully.", float64(d.WriteSectors)*sector)
		counter("write_time_seconds_total", "The total number of seconds spent by all writes.", ms(d.WriteTicks))
		e.gauge("node_disk_io_now", "The number of I/Os currently in progress.", float64(d.IOsInProgress), "device", d.DeviceName)
		counter("io_time_seconds_total", "Total seconds spent doing I/Os.", ms(d.IOsTotalTicks))
		counter("io_time_weighted_seconds_total", "The weighted number of seconds spent doing I/Os.", ms(d.WeightedIOTicks))
		if d.IoStatsCount >= 18 { // Linux 4.18
			counter("discards_completed_total", "The total number of discards completed successfully.", float64(d.DiscardIOs))
			counter("discards_merged_total", "The total number of discards merged.", float64(d.DiscardMerges))
			counter("discarded_sectors_total", "The total number of sectors discarded successfully.", float64(d.DiscardSectors))
			counter("discard_time_seconds_total", "The total number of seconds spent by all discards.", ms(d.DiscardTicks))
		}
		if d.IoStatsCount >= 20 { // Linux 5.5
			counter("flush_requests_total", "The total number of flush requests completed successfully.", float64(d.FlushRequestsCompleted))
			counter("flush_requests_time_seconds_total", "The total number of seconds spent by all flush requests.", ms(d.TimeSpentFlushing))
		}
	}
	return nil
}
