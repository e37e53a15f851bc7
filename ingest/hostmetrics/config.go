package hostmetrics

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Config is what an operator may write about metrics of this machine.
type Config struct {
	// Measure this machine.
	Enabled bool `yaml:"enabled"`
	// Mount points left out, a regular expression.
	MountPointsExclude string `yaml:"mount_points_exclude"`
	// Types of file systems left out, a regular expression.
	FSTypesExclude string `yaml:"fs_types_exclude"`
	// Block devices left out, a regular expression.
	DisksExclude string `yaml:"disks_exclude"`
	// Network devices left out, a regular expression.
	NetworkDevicesExclude string `yaml:"network_devices_exclude"`
	// How long a file system may take to answer before it counts as stuck.
	MountTimeout time.Duration `yaml:"mount_timeout"`
	// Where the host's /proc is; differs in a container that measures its host.
	ProcPath string `yaml:"proc_path"`
	// Where the host's /sys is.
	SysPath string `yaml:"sys_path"`
	// Where the host's root directory is.
	RootPath string `yaml:"root_path"`
}

// DefaultConfig leaves out what node_exporter leaves out, and the loopback and
// virtual Ethernet devices, which come and go with containers.
func DefaultConfig() Config {
	return Config{
		Enabled:               true,
		MountPointsExclude:    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
		FSTypesExclude:        "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
		DisksExclude:          `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`,
		NetworkDevicesExclude: "^(lo|veth.*)$",
		MountTimeout:          5 * time.Second,
		ProcPath:              "/proc",
		SysPath:               "/sys",
		RootPath:              "/",
	}
}

// Validate reports every option that cannot be meant. There are no warnings.
func (c *Config) Validate() (warnings []string, err error) {
	_, err = c.compile()
	return nil, err
}

// filters are the compiled expressions; an empty one excludes nothing.
type filters struct {
	mountPoints, fsTypes, disks, networkDevices *regexp.Regexp
}

func (c *Config) compile() (f filters, err error) {
	var errs []error
	compile := func(key, expr string) *regexp.Regexp {
		if expr == "" {
			expr = "^$"
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return re
	}
	f.mountPoints = compile("mount_points_exclude", c.MountPointsExclude)
	f.fsTypes = compile("fs_types_exclude", c.FSTypesExclude)
	f.disks = compile("disks_exclude", c.DisksExclude)
	f.networkDevices = compile("network_devices_exclude", c.NetworkDevicesExclude)
	if c.MountTimeout <= 0 {
		errs = append(errs, errors.New("mount_timeout: must be above zero"))
	}
	for _, path := range []struct{ key, value string }{
		{"proc_path", c.ProcPath}, {"sys_path", c.SysPath}, {"root_path", c.RootPath},
	} {
		if path.value == "" {
			errs = append(errs, fmt.Errorf("%s: must name a folder", path.key))
		}
	}
	return f, errors.Join(errs...)
}
