package hostmetrics

import (
	"strconv"

	"github.com/prometheus/procfs"
)

// stat reads /proc/stat: processors, interrupts, processes, boot time.
func (c *Collector) stat(e *emitter) error {
	proc, err := c.proc()
	if err != nil {
		return err
	}
	s, err := proc.Stat()
	if err != nil {
		return err
	}
	if c.mu.state.cpu == nil {
		c.mu.state.cpu = make(map[int64]procfs.CPUStat, len(s.CPU))
	}
	for id := range c.mu.state.cpu {
		if _, ok := s.CPU[id]; !ok {
			delete(c.mu.state.cpu, id) // taken offline
		}
	}
	for id, now := range s.CPU {
		now = steady(c.mu.state.cpu[id], now)
		c.mu.state.cpu[id] = now
		cpu := strconv.FormatInt(id, 10)
		for _, m := range []struct {
			mode    string
			seconds float64
		}{
			{"user", now.User}, {"nice", now.Nice}, {"system", now.System}, {"idle", now.Idle},
			{"iowait", now.Iowait}, {"irq", now.IRQ}, {"softirq", now.SoftIRQ}, {"steal", now.Steal},
		} {
			e.counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", m.seconds, "cpu", cpu, "mode", m.mode)
		}
		const help = "Seconds the CPUs spent in guests (VMs) for each mode."
		e.counter("node_cpu_guest_seconds_total", help, now.Guest, "cpu", cpu, "mode", "user")
		e.counter("node_cpu_guest_seconds_total", help, now.GuestNice, "cpu", cpu, "mode", "nice")
	}
	e.counter("node_intr_total", "Total number of interrupts serviced.", float64(s.IRQTotal))
	e.counter("node_context_switches_total", "Total number of context switches.", float64(s.ContextSwitches))
	e.counter("node_forks_total", "Total number of forks.", float64(s.ProcessCreated))
	e.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", float64(s.BootTime))
	e.gauge("node_procs_running", "Number of processes in runnable state.", float64(s.ProcessesRunning))
	e.gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.", float64(s.ProcessesBlocked))
	return nil
}

// jumpBack is how many seconds idle may fall before a processor counts as
// having been taken offline and online again.
const jumpBack = 3

// steady returns now with each counter at least as high as in last: idle and
// iowait of the kernel fall by ticks at times, which a rate would take for a
// restart. After a real restart now is returned as it is.
func steady(last, now procfs.CPUStat) procfs.CPUStat {
	if last.Idle-now.Idle >= jumpBack {
		return now
	}
	return procfs.CPUStat{
		User: max(last.User, now.User), Nice: max(last.Nice, now.Nice), System: max(last.System, now.System),
		Idle: max(last.Idle, now.Idle), Iowait: max(last.Iowait, now.Iowait), IRQ: max(last.IRQ, now.IRQ),
		SoftIRQ: max(last.SoftIRQ, now.SoftIRQ), Steal: max(last.Steal, now.Steal),
		Guest: max(last.Guest, now.Guest), GuestNice: max(last.GuestNice, now.GuestNice),
	}
}
