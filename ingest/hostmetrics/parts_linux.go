package hostmetrics

import (
	"os"
	"path/filepath"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
	"github.com/prometheus/procfs/sysfs"
)

// state is what the parts keep between gatherings.
type state struct {
	cpu   map[int64]procfs.CPUStat // last values shown, see steady
	stuck *stuckMounts
}

var parts = []part{
	{"cpu", (*Collector).stat},
	{"meminfo", (*Collector).meminfo},
	{"loadavg", (*Collector).loadavg},
	{"filesystem", (*Collector).filesystem},
	{"diskstats", (*Collector).diskstats},
	{"netdev", (*Collector).netdev},
	{"netclass", (*Collector).netclass},
	{"netstat", (*Collector).netstat},
	{"sockstat", (*Collector).sockstat},
	{"softnet", (*Collector).softnet},
	{"arp", (*Collector).arp},
	{"conntrack", (*Collector).conntrack},
	{"vmstat", (*Collector).vmstat},
	{"filefd", (*Collector).filefd},
	{"entropy", (*Collector).entropy},
	{"pressure", (*Collector).pressure},
	{"time", (*Collector).time},
	{"timex", (*Collector).timex},
	{"uname", (*Collector).uname},
	{"os", (*Collector).osRelease},
}

func (c *Collector) proc() (procfs.FS, error) { return procfs.NewFS(c.cfg.ProcPath) }
func (c *Collector) sys() (sysfs.FS, error)   { return sysfs.NewFS(c.cfg.SysPath) }
func (c *Collector) block() (blockdevice.FS, error) {
	return blockdevice.NewFS(c.cfg.ProcPath, c.cfg.SysPath)
}

func (c *Collector) readProc(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(c.cfg.ProcPath, name))
}
