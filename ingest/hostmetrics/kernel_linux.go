package hostmetrics

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// loadavg reads /proc/loadavg.
func (c *Collector) loadavg(e *emitter) error {
	proc, err := c.proc()
	if err != nil {
		return err
	}
	load, err := proc.LoadAvg()
	if err != nil {
		return err
	}
	emitLoad(e, load.Load1, load.Load5, load.Load15)
	return nil
}

// readNumber reads a file below /proc that holds one number.
func (c *Collector) readNumber(name string) (float64, error) {
	b, err := c.readProc(name)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// filefd reads how many file descriptors the machine has open and may open.
func (c *Collector) filefd(e *emitter) error {
	b, err := c.readProc("sys/fs/file-nr")
	if err != nil {
		return err
	}
	f := strings.Fields(string(b))
	if len(f) != 3 {
		return fmt.Errorf("file-nr: unexpected content %q", b)
	}
	allocated, err1 := strconv.ParseFloat(f[0], 64)
	maximum, err2 := strconv.ParseFloat(f[2], 64)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("file-nr: %w", err)
	}
	e.gauge("node_filefd_allocated", "File descriptor statistics: allocated.", allocated)
	e.gauge("node_filefd_maximum", "File descriptor statistics: maximum.", maximum)
	return nil
}

// entropy reads the state of the kernel's random numbers.
func (c *Collector) entropy(e *emitter) error {
	available, err := c.readNumber("sys/kernel/random/entropy_avail")
	if err != nil {
		return err
	}
	size, err := c.readNumber("sys/kernel/random/poolsize")
	if err != nil {
		return err
	}
	e.gauge("node_entropy_available_bits", "Bits of available entropy.", available)
	e.gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", size)
	return nil
}

// pressure reads how long tasks waited for each resource. A kernel may have it
// compiled in and switched off.
func (c *Collector) pressure(e *emitter) error {
	proc, err := c.proc()
	if err != nil {
		return err
	}
	for _, resource := range []string{"cpu", "io", "memory", "irq"} {
		psi, err := proc.PSIStatsForResource(resource)
		if resource == "irq" && err != nil {
			continue // Linux 6.1, and only if accounted
		}
		if errors.Is(err, syscall.EOPNOTSUPP) {
			return errUnsupported
		}
		if err != nil {
			return err
		}
		put := func(kind string, line *procfs.PSILine) {
			if line != nil {
				e.counter("node_pressure_"+resource+"_"+kind+"_seconds_total",
					"Total time in seconds that processes were "+kind+" for "+resource+".", float64(line.Total)/1e6)
			}
		}
		if resource != "irq" {
			put("waiting", psi.Some)
		}
		if resource != "cpu" {
			put("stalled", psi.Full)
		}
	}
	return nil
}

// time tells the clock and its zone.
func (c *Collector) time(e *emitter) error {
	emitTime(e, time.Now())
	return nil
}

// timex tells how well the clock is kept.
func (c *Collector) timex(e *emitter) error {
	var tx unix.Timex
	status, err := unix.Adjtimex(&tx)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		return errUnsupported // a container that may not ask
	}
	if err != nil {
		return err
	}
	const nanoMode, unsynchronized, ppm16 = 0x2000, 5, 1e6 * 65536
	unit := 1e6
	if tx.Status&nanoMode != 0 {
		unit = 1e9
	}
	synced := 1.0
	if status == unsynchronized {
		synced = 0
	}
	e.gauge("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).", synced)
	e.gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock.", float64(tx.Offset)/unit)
	e.gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.", 1+float64(tx.Freq)/ppm16)
	e.gauge("node_timex_maxerror_seconds", "Maximum error in seconds.", float64(tx.Maxerror)/1e6)
	e.gauge("node_timex_estimated_error_seconds", "Estimated error in seconds.", float64(tx.Esterror)/1e6)
	e.gauge("node_timex_status", "Value of the status array bits.", float64(tx.Status))
	e.gauge("node_timex_loop_time_constant", "Phase-locked loop time constant.", float64(tx.Constant))
	e.gauge("node_timex_tick_seconds", "Seconds between clock ticks.", float64(tx.Tick)/1e6)
	e.gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.", float64(tx.Tai))
	return nil
}
