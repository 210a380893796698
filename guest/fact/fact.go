// Package fact holds what an inspection tells of a disk: plain records, in
// the words of the report's JSON. What a disk does not tell is left empty;
// nothing is guessed. Texts come from the disk and are the guest's: cut at
// MaxText bytes, not escaped, never to be trusted.
package fact

import "time"

// MaxText is the length in bytes at which texts from a guest are cut.
const MaxText = 1024

// Facts are all of them.
type Facts struct {
	Disk        Disk         `json:"disk"`
	Partitions  []Partition  `json:"partitions,omitempty"`
	Filesystems []Filesystem `json:"filesystems,omitempty"`
	Boot        Boot         `json:"boot"`
	// OS is nil for a disk without an operating system: a data disk where
	// there is no boot loader either.
	OS       *OS       `json:"os,omitempty"`
	Kernels  []Kernel  `json:"kernels,omitempty"`
	Packages []Package `json:"packages,omitempty"`
	Users    []User    `json:"users,omitempty"`
	Services []Service `json:"services,omitempty"`
	Network  Network   `json:"network"`
	// CloudInit is nil where it is not installed.
	CloudInit *CloudInit `json:"cloud_init,omitempty"`
	// Windows is nil for other systems.
	Windows *Windows `json:"windows,omitempty"`
	// Mounts are the lines of fstab and crypttab.
	Mounts []Mount `json:"mounts,omitempty"`
}

// Disk is the disk as a whole.
type Disk struct {
	Size int64 `json:"size"` // bytes
	// Used are the bytes that partitions tables, file systems and volumes
	// really use; -1 where a part does not tell.
	Used  int64  `json:"used"`
	Table string `json:"table,omitempty"` // mbr, gpt, hybrid, none
	ID    string `json:"id,omitempty"`    // of the partition table
	// Sector is the size of a logical sector in bytes, as the table implies.
	Sector int `json:"sector,omitempty"`
	// DataDisk: neither a boot loader nor an operating system is on it.
	DataDisk bool `json:"data_disk"`
}

// Partition is one entry of a partition table.
type Partition struct {
	Number   int    `json:"number"`
	Offset   int64  `json:"offset"` // bytes
	Size     int64  `json:"size"`   // bytes
	Type     string `json:"type"`   // GPT: GUID; MBR: 0x83
	TypeName string `json:"type_name,omitempty"`
	Name     string `json:"name,omitempty"`
	UUID     string `json:"uuid,omitempty"`
	Bootable bool   `json:"bootable,omitempty"`
	// Holds says what lies in it: a type of file system, lvm2, luks1, luks2,
	// bitlocker, mdraid, swap; "" where nothing is recognised.
	Holds string `json:"holds,omitempty"`
}

// Filesystem is one that was recognised, wherever it lies.
type Filesystem struct {
	Device string   `json:"device"` // 1 for partition 1, vg/lv for a logical volume, "" for the whole disk
	Type   string   `json:"type"`   // as blkid names it
	Label  string   `json:"label,omitempty"`
	UUID   string   `json:"uuid,omitempty"`
	Size   int64    `json:"size"`            // bytes
	Free   int64    `json:"free"`            // bytes, -1 unknown
	Mount  string   `json:"mount,omitempty"` // where fstab mounts it, / for the root
	Notes  []string `json:"notes,omitempty"` // journal-replayed, journal-dirty, …: see package tree
	// Error says why it could not be read; "" where it could.
	Error string `json:"error,omitempty"`
}

// Boot is how the disk starts.
type Boot struct {
	BIOS   bool   `json:"bios"` // boot code and something that it can start
	UEFI   bool   `json:"uefi"` // an EFI system partition with a loader
	Loader string `json:"loader,omitempty"`
	// Entries are the files that the loader can start, as paths in the guest.
	Entries []BootEntry `json:"entries,omitempty"`
}

// BootEntry is one entry of a boot menu.
type BootEntry struct {
	Title   string `json:"title,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	Initrd  string `json:"initrd,omitempty"`
	Options string `json:"options,omitempty"`
	File    string `json:"file"` // where it stands
	Line    int    `json:"line,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// OS is the operating system.
type OS struct {
	Family  string `json:"family"` // linux, windows
	Distro  string `json:"distro"` // ID of os-release: debian, ubuntu, rhel, centos, ol, rocky, almalinux, fedora, opensuse-leap, sles, alpine, arch; windows
	Like    string `json:"like,omitempty"`
	Name    string `json:"name"` // for people
	Version string `json:"version,omitempty"`
	// Codename and build, where there are such.
	Codename string `json:"codename,omitempty"`
	Build    string `json:"build,omitempty"`
	Arch     string `json:"arch,omitempty"` // x86_64, aarch64, i686, …
	Hostname string `json:"hostname,omitempty"`
	Packager string `json:"packager,omitempty"` // dpkg, rpm, apk, pacman
	Init     string `json:"init,omitempty"`     // systemd, openrc, sysvinit, upstart
	Timezone string `json:"timezone,omitempty"`
	// Installed is when the system was installed, where it tells.
	Installed time.Time `json:"installed,omitzero"`
}

// Major is the number before the first dot of Version, 0 where there is none.
func (o *OS) Major() int {
	n := 0
	for _, c := range o.Version {
		if c < '0' || c > '9' || n > 1e6 {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// Kernel is one that is installed.
type Kernel struct {
	Version string   `json:"version"`
	Image   string   `json:"image"`
	Initrd  string   `json:"initrd,omitempty"`
	Modules string   `json:"modules,omitempty"` // folder
	Arch    string   `json:"arch,omitempty"`
	Default bool     `json:"default,omitempty"` // what the boot loader starts
	Virtio  []Driver `json:"virtio,omitempty"`  // virtio_blk, virtio_scsi, virtio_net, virtio_pci, ata_piix, ahci
}

// Driver is where a driver of a kernel can be found.
type Driver struct {
	Name    string `json:"name"`
	Builtin bool   `json:"builtin"`
	Modules bool   `json:"modules"` // among the modules on the disk
	Initrd  bool   `json:"initrd"`  // in the initrd
	// InitrdUnknown: the initrd could not be read, the detail is in a note.
	InitrdUnknown bool `json:"initrd_unknown,omitempty"`
}

// Package is one that is installed.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch,omitempty"`
	Source  string `json:"source,omitempty"`
	License string `json:"license,omitempty"`
	Vendor  string `json:"vendor,omitempty"`
}

// User is an account that can log in, or root.
type User struct {
	Name  string `json:"name"`
	UID   int    `json:"uid"`
	Home  string `json:"home,omitempty"`
	Shell string `json:"shell,omitempty"`
	// Password: set, locked, empty, none (no entry).
	Password  string    `json:"password,omitempty"`
	Keys      int       `json:"keys"` // public keys that may log in
	Sudo      bool      `json:"sudo"`
	HomeSize  int64     `json:"home_size"` // bytes in files, -1 unknown
	LastLogin time.Time `json:"last_login,omitzero"`
	// Default: the account that cloud-init makes or sets up.
	Default bool `json:"default,omitempty"`
}

// Service is a unit or script that starts at boot.
type Service struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	Masked  bool   `json:"masked,omitempty"`
	File    string `json:"file,omitempty"`
}

// Network is how the guest sets up its network.
type Network struct {
	Renderers  []string    `json:"renderers,omitempty"` // ifupdown, netplan, networkd, networkmanager, ifcfg, wicked, windows
	Interfaces []Interface `json:"interfaces,omitempty"`
}

// Interface is the configuration of one interface, or of all that match.
type Interface struct {
	Name      string   `json:"name"` // eth0, "en*", a connection's name
	Method    string   `json:"method"`
	Addresses []string `json:"addresses,omitempty"`
	Gateway   string   `json:"gateway,omitempty"`
	Routes    []string `json:"routes,omitempty"`
	DNS       []string `json:"dns,omitempty"`
	MAC       string   `json:"mac,omitempty"` // that it is tied to
	Renderer  string   `json:"renderer"`
	File      string   `json:"file"`
	Line      int      `json:"line,omitempty"`
}

// The methods of an interface.
const (
	MethodDHCP   = "dhcp"
	MethodStatic = "static"
	MethodNone   = "none"
)

// CloudInit is its configuration.
type CloudInit struct {
	Version string `json:"version,omitempty"`
	// Disabled says by what, "" where it runs.
	Disabled    string       `json:"disabled,omitempty"`
	Datasources []string     `json:"datasources,omitempty"`
	DefaultUser string       `json:"default_user,omitempty"`
	Modules     []string     `json:"modules,omitempty"` // of all stages
	Bootcmd     []string     `json:"bootcmd,omitempty"`
	Runcmd      []string     `json:"runcmd,omitempty"`
	Files       []ConfigFile `json:"files,omitempty"`
	// Network: disabled where network configuration by cloud-init is off.
	NetworkDisabled bool `json:"network_disabled,omitempty"`
	// State: files that an earlier boot left.
	State      []string `json:"state,omitempty"`
	InstanceID string   `json:"instance_id,omitempty"`
}

// ConfigFile is a file of a configuration and its keys at the top.
type ConfigFile struct {
	Path  string   `json:"path"`
	Keys  []string `json:"keys,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Mount is a line of fstab or crypttab.
type Mount struct {
	Spec    string `json:"spec"`
	Target  string `json:"target"`
	Type    string `json:"type,omitempty"`
	Options string `json:"options,omitempty"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	// Found: what it names lies on this disk.
	Found bool `json:"found"`
}

// Windows is what only Windows has.
type Windows struct {
	Edition   string            `json:"edition,omitempty"` // EditionID
	Sysprep   string            `json:"sysprep,omitempty"` // State of setup: IMAGE_STATE_…
	Drivers   []WindowsDriver   `json:"drivers,omitempty"`
	Adapters  []Interface       `json:"adapters,omitempty"`
	Cloudbase map[string]string `json:"cloudbase,omitempty"` // options of cloudbase-init.conf; nil where it is not installed
	// Filters are the filter drivers over keyboard and mouse, by class.
	Filters map[string][]string `json:"filters,omitempty"`
	// Hibernated: the system was hibernated or shut down by fast startup.
	Hibernated bool `json:"hibernated,omitempty"`
}

// WindowsDriver is a driver's service.
type WindowsDriver struct {
	Name  string `json:"name"`
	Start int    `json:"start"` // 0 boot, 1 system, 2 automatic, 3 on demand, 4 disabled
	Image string `json:"image,omitempty"`
	Found bool   `json:"found"` // the file is there
}
