package hostmetrics

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// portable are the parts of systems other than Linux, by gopsutil. They are
// compiled and tested everywhere.
var portable = []part{
	{"cpu", portableCPU},
	{"meminfo", portableMemory},
	{"loadavg", portableLoad},
	{"filesystem", portableFilesystem},
	{"diskstats", portableDisks},
	{"netdev", portableNetwork},
	{"boottime", portableBootTime},
	{"time", portableTime},
	{"uname", portableUname},
}

func emitLoad(e *emitter, one, five, fifteen float64) {
	e.gauge("node_load1", "1m load average.", one)
	e.gauge("node_load5", "5m load average.", five)
	e.gauge("node_load15", "15m load average.", fifteen)
}

func emitTime(e *emitter, now time.Time) {
	zone, offset := now.Zone()
	e.gauge("node_time_seconds", "System time in seconds since epoch (1970).", float64(now.UnixNano())/1e9)
	e.gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.", float64(offset), "time_zone", zone)
}

func emitUname(e *emitter, sysname, release, version, machine, nodename, domainname string) {
	e.gauge("node_uname_info", "Labeled system information as provided by the uname system call.", 1,
		"sysname", sysname, "release", release, "version", version, "machine", machine, "nodename", nodename, "domainname", domainname)
}

func portableCPU(_ *Collector, e *emitter) error {
	times, err := cpu.Times(true)
	if err != nil {
		return err
	}
	for _, t := range times {
		id := strings.TrimPrefix(t.CPU, "cpu")
		for _, m := range []struct {
			mode    string
			seconds float64
		}{{"user", t.User}, {"nice", t.Nice}, {"system", t.System}, {"idle", t.Idle}} {
			e.counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", m.seconds, "cpu", id, "mode", m.mode)
		}
	}
	return nil
}

func portableMemory(_ *Collector, e *emitter) error {
	vm, err := mem.VirtualMemory()
	if err != nil {
		return err
	}
	swap, err := mem.SwapMemory()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name  string
		bytes uint64
	}{
		{"total", vm.Total}, {"free", vm.Free}, {"active", vm.Active}, {"inactive", vm.Inactive}, {"wired", vm.Wired},
		{"swap_total", swap.Total}, {"swap_used", swap.Used},
	} {
		e.gauge("node_memory_"+m.name+"_bytes", "Memory information field "+m.name+"_bytes.", float64(m.bytes))
	}
	return nil
}

func portableLoad(_ *Collector, e *emitter) error {
	avg, err := load.Avg()
	if err != nil {
		return err
	}
	emitLoad(e, avg.Load1, avg.Load5, avg.Load15)
	return nil
}

func portableFilesystem(c *Collector, e *emitter) error {
	mounts, err := disk.Partitions(true)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mounts {
		if c.filters.mountPoints.MatchString(m.Mountpoint) || c.filters.fsTypes.MatchString(m.Fstype) {
			continue
		}
		u, err := disk.Usage(m.Mountpoint)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		labels := []string{"device", m.Device, "mountpoint", m.Mountpoint, "fstype", m.Fstype}
		readOnly := 0.0
		if slices.Contains(m.Opts, "ro") {
			readOnly = 1
		}
		e.gauge("node_filesystem_readonly", "Filesystem read-only status.", readOnly, labels...)
		e.gauge("node_filesystem_size_bytes", "Filesystem size in bytes.", float64(u.Total), labels...)
		e.gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.", float64(u.Free), labels...)
		e.gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", float64(u.Free), labels...)
		e.gauge("node_filesystem_files", "Filesystem total file nodes.", float64(u.InodesTotal), labels...)
		e.gauge("node_filesystem_files_free", "Filesystem total free file nodes.", float64(u.InodesFree), labels...)
	}
	return errors.Join(errs...)
}

func portableDisks(c *Collector, e *emitter) error {
	disks, err := disk.IOCounters()
	if err != nil {
		return err
	}
	for name, d := range disks {
		if c.filters.disks.MatchString(name) {
			continue
		}
		e.counter("node_disk_reads_completed_total", "The total number of reads completed successfully.", float64(d.ReadCount), "device", name)
		e.counter("node_disk_read_bytes_total", "The total number of bytes read successfully.", float64(d.ReadBytes), "device", name)
		e.counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.", float64(d.ReadTime)/1000, "device", name)
		e.counter("node_disk_writes_completed_total", "The total number of writes completed successfully.", float64(d.WriteCount), "device", name)
		e.counter("node_disk_written_bytes_total", "The total number of bytes written successfully.", float64(d.WriteBytes), "device", name)
		e.counter("node_disk_write_time_seconds_total", "The total number of seconds spent by all writes.", float64(d.WriteTime)/1000, "device", name)
	}
	return nil
}

func portableNetwork(c *Collector, e *emitter) error {
	devices, err := net.IOCounters(true)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if c.filters.networkDevices.MatchString(d.Name) {
			continue
		}
		for _, m := range []struct {
			name string
			v    uint64
		}{
			{"receive_bytes", d.BytesRecv}, {"receive_packets", d.PacketsRecv}, {"receive_errs", d.Errin}, {"receive_drop", d.Dropin},
			{"transmit_bytes", d.BytesSent}, {"transmit_packets", d.PacketsSent}, {"transmit_errs", d.Errout}, {"transmit_drop", d.Dropout},
		} {
			e.counter("node_network_"+m.name+"_total", "Network device statistic "+m.name+".", float64(m.v), "device", d.Name)
		}
	}
	return nil
}

func portableBootTime(_ *Collector, e *emitter) error {
	at, err := host.BootTime()
	if err != nil {
		return err
	}
	e.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", float64(at))
	return nil
}

func portableTime(_ *Collector, e *emitter) error {
	emitTime(e, time.Now())
	return nil
}

func portableUname(_ *Collector, e *emitter) error {
	info, err := host.Info()
	if err != nil {
		return err
	}
	sysname := runtime.GOOS
	if sysname == "darwin" {
		sysname = "Darwin"
	}
	emitUname(e, sysname, info.KernelVersion, info.PlatformVersion, info.KernelArch, info.Hostname, "(none)")
	return nil
}
