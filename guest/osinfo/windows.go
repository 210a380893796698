package osinfo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"kuva/guest/budget"
	"kuva/guest/fact"
	"kuva/guest/regf"
)

const config = "Windows/System32/config/"

// windows reads the registry of Windows and the few files that tell more.
func windows(g *Guest) error {
	w := &fact.Windows{}
	g.Facts.Windows = w
	for _, f := range []struct {
		hive string
		read func(g *Guest, h *regf.Hive) error
	}{
		{"SOFTWARE", (*Guest).software}, {"SYSTEM", (*Guest).system}, {"SAM", (*Guest).sam},
	} {
		h, done, err := g.hive(f.hive)
		if err == nil {
			err = f.read(g, h)
			done()
		}
		if err != nil {
			if budget.IsLimit(err) {
				return err
			}
			g.note("registry", &fs.PathError{Op: "read", Path: config + f.hive, Err: err})
		}
	}
	if err := g.cloudbase(); err != nil {
		return err
	}
	w.Hibernated = g.hibernated()
	return nil
}

// hive opens a hive with its transaction logs. Its readers are closed by done.
func (g *Guest) hive(name string) (h *regf.Hive, done func(), err error) {
	r, size, closeHive := g.openAt(config + name)
	if r == nil {
		return nil, nil, fs.ErrNotExist
	}
	closers := []func(){closeHive}
	done = func() {
		for _, c := range closers {
			c()
		}
	}
	o := regf.Options{Budget: g.Budget}
	for _, suffix := range []string{".LOG1", ".LOG2"} {
		if l, n, c := g.openAt(config + name + suffix); l != nil {
			o.Logs = append(o.Logs, io.NewSectionReader(l, 0, n))
			closers = append(closers, c)
		}
	}
	if h, err = regf.Open(r, size, o); err != nil {
		done()
	}
	return h, done, err
}

// get gives a text, "" where the value is not there or is none.
func get(k *regf.Key, name string) string {
	s, err := k.Text(name)
	if err != nil {
		return ""
	}
	return cut(s)
}

// number gives a number, -1 where the value is not there or is none.
func number(k *regf.Key, name string) int64 {
	n, err := k.Uint(name)
	if err != nil || n > 1<<62 {
		return -1
	}
	return int64(n)
}

var serverVersion = regexp.MustCompile(`Server (20\d\d(?: R2)?)|Windows (XP|Vista|7|8\.1|8|10|11)\b`)

func (g *Guest) software(h *regf.Hive) error {
	k, err := h.Key(`Microsoft\Windows NT\CurrentVersion`)
	if err != nil {
		return err
	}
	o, w := g.Facts.OS, g.Facts.Windows
	if name := get(k, "ProductName"); name != "" {
		o.Name = name
	}
	w.Edition = get(k, "EditionID")
	build := get(k, "CurrentBuildNumber")
	if build == "" {
		build = get(k, "CurrentBuild")
	}
	o.Build = build
	if ubr := number(k, "UBR"); ubr >= 0 && build != "" {
		o.Build = fmt.Sprintf("%s.%d", build, ubr)
	}
	// Windows 11 calls itself 10 here.
	if n := atoi(build); n >= 22000 && strings.HasPrefix(o.Name, "Windows 10") {
		o.Name = "Windows 11" + strings.TrimPrefix(o.Name, "Windows 10")
	}
	if m := serverVersion.FindStringSubmatch(o.Name); m != nil {
		o.Version = m[1] + m[2]
	}
	if o.Version == "" {
		o.Version = get(k, "CurrentVersion")
	}
	if o.Codename = get(k, "DisplayVersion"); o.Codename == "" {
		o.Codename = get(k, "ReleaseId")
	}
	if at := number(k, "InstallDate"); at > 0 {
		o.Installed = time.Unix(at, 0).UTC()
	}
	if k, err := h.Key(`Microsoft\Windows\CurrentVersion\Setup\State`); err == nil {
		w.Sysprep = get(k, "ImageState")
	}
	for _, at := range []string{`Microsoft\Windows\CurrentVersion\Uninstall`, `Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall`} {
		if err := g.uninstall(h, at); err != nil {
			return err
		}
	}
	return nil
}

// uninstall reads the list of programs.
func (g *Guest) uninstall(h *regf.Hive, at string) error {
	k, err := h.Key(at)
	if err != nil {
		return absentKey(err)
	}
	for sub, err := range k.Keys() {
		if err != nil {
			return err
		}
		if name := get(sub, "DisplayName"); name != "" {
			g.addPackage(fact.Package{Name: name, Version: get(sub, "DisplayVersion"), Vendor: get(sub, "Publisher")})
		}
	}
	return nil
}

// absentKey drops the error for what is not there.
func absentKey(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// windowsDrivers are the services of drivers whose start matters to a machine
// on KVM, or that belong to other hypervisors.
var windowsDrivers = []string{
	"viostor", "vioscsi", "netkvm", "vioser", "balloon", "viorng", "qemupciserial",
	"intelide", "pciide", "atapi", "storahci", "msahci", "iastor", "iastorv",
	"xenbus", "xenvbd", "xennet", "xenvif", "vmci", "pvscsi", "vmxnet3ndis6", "vboxguest", "vboxsf", "storvsc", "netvsc", "prl_strg",
}

// inputClasses are the classes of devices without which nobody can type.
var inputClasses = map[string]string{
	"keyboard": "{4D36E96B-E325-11CE-BFC1-08002BE10318}", "mouse": "{4D36E96F-E325-11CE-BFC1-08002BE10318}",
}

var arches64 = map[string]string{"AMD64": "x86_64", "x86": "i686", "ARM64": "aarch64"}

func (g *Guest) system(h *regf.Hive) error {
	current := int64(1)
	if k, err := h.Key("Select"); err == nil {
		if n := number(k, "Current"); n > 0 && n < 1000 {
			current = n
		}
	}
	set, err := h.Key(fmt.Sprintf("ControlSet%03d", current))
	if err != nil {
		return err
	}
	o, w := g.Facts.OS, g.Facts.Windows
	if k, err := set.Key(`Control\Session Manager\Environment`); err == nil {
		a := get(k, "PROCESSOR_ARCHITECTURE")
		if o.Arch = arches64[a]; o.Arch == "" {
			o.Arch = strings.ToLower(a)
		}
	}
	if k, err := set.Key(`Control\ComputerName\ComputerName`); err == nil {
		o.Hostname = get(k, "ComputerName")
	}
	if k, err := set.Key(`Control\TimeZoneInformation`); err == nil {
		o.Timezone = get(k, "TimeZoneKeyName")
	}
	services, err := set.Key("Services")
	if err != nil {
		return err
	}
	for _, name := range windowsDrivers {
		k, err := services.Key(name)
		if err != nil {
			if err := absentKey(err); err != nil {
				return err
			}
			continue
		}
		d := fact.WindowsDriver{Name: name, Start: int(number(k, "Start")), Image: get(k, "ImagePath")}
		file := strings.ReplaceAll(d.Image, `\`, "/")
		if file == "" {
			file = "system32/drivers/" + name + ".sys"
		}
		file = strings.TrimPrefix(strings.ToLower(path.Clean("/" + file))[1:], "systemroot/")
		d.Found = g.exists("Windows/" + file)
		w.Drivers = append(w.Drivers, d)
	}
	for class, id := range inputClasses {
		if k, err := set.Key(`Control\Class\` + id); err == nil {
			if w.Filters == nil {
				w.Filters = map[string][]string{}
			}
			w.Filters[class] = texts(k, "UpperFilters")
		}
	}
	if err := g.windowsServices(services); err != nil {
		return err
	}
	return g.adapters(set, services)
}

// windowsServices tells which programs start by themselves.
func (g *Guest) windowsServices(services *regf.Key) error {
	for k, err := range services.Keys() {
		if err != nil {
			return err
		}
		if number(k, "Type")&0x30 == 0 || number(k, "Type") < 0 { // drivers
			continue
		}
		if start := number(k, "Start"); start == 2 || start == 4 {
			g.addService(fact.Service{Name: k.Name(), Enabled: start == 2, Masked: start == 4, File: k.Path()})
		}
	}
	return nil
}

// adapters tells how each network adapter gets its address.
func (g *Guest) adapters(set, services *regf.Key) error {
	interfaces, err := services.Key(`Tcpip\Parameters\Interfaces`)
	if err != nil {
		return absentKey(err)
	}
	for k, err := range interfaces.Keys() {
		if err != nil {
			return err
		}
		if len(g.Facts.Windows.Adapters) >= maxInterfaces {
			break
		}
		i := fact.Interface{Name: k.Name(), Method: fact.MethodDHCP, Renderer: "windows", File: k.Path()}
		if c, err := set.Key(`Control\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}\` + k.Name() + `\Connection`); err == nil {
			if n := get(c, "Name"); n != "" {
				i.Name = n
			}
		}
		if number(k, "EnableDHCP") == 0 {
			i.Method = fact.MethodStatic
			i.Addresses = texts(k, "IPAddress")
			if gw := texts(k, "DefaultGateway"); len(gw) > 0 {
				i.Gateway = gw[0]
			}
			if len(i.Addresses) == 0 {
				i.Method = fact.MethodNone
			}
		}
		if dns := get(k, "NameServer"); dns != "" {
			i.DNS = split(dns, ",")
		}
		g.Facts.Windows.Adapters = append(g.Facts.Windows.Adapters, i)
	}
	return nil
}

// texts gives a list of texts without the empty ones.
func texts(k *regf.Key, name string) (out []string) {
	list, err := k.Strings(name)
	if err != nil {
		if s := get(k, name); s != "" {
			list = []string{s}
		}
	}
	for _, s := range list[:min(len(list), 100)] {
		if s = cut(strings.TrimSpace(s)); s != "" && s != "0.0.0.0" {
			out = append(out, s)
		}
	}
	return out
}

// sam tells the accounts. The value F of an account has its last log-in at
// byte 8 and its flags at byte 56, of which the lowest means disabled.
func (g *Guest) sam(h *regf.Hive) error {
	users, err := h.Key(`SAM\Domains\Account\Users`)
	if err != nil {
		return err
	}
	names, err := users.Key("Names")
	if err != nil {
		return err
	}
	for k, err := range names.Keys() {
		if err != nil {
			return err
		}
		if len(g.Facts.Users) >= maxUsers {
			break
		}
		u := fact.User{Name: cut(k.Name()), Password: "set", HomeSize: -1}
		if v, err := k.Value(""); err == nil {
			u.UID = int(v.Type) // the account's number stands where the type should
		}
		if rec, err := users.Key(fmt.Sprintf("%08X", u.UID)); err == nil {
			if v, err := rec.Value("F"); err == nil {
				if b, err := v.Bytes(); err == nil && len(b) > 56 {
					if b[56]&1 != 0 {
						continue // disabled
					}
					u.LastLogin = fileTime(b[8:16])
				}
			}
		}
		if home := "Users/" + u.Name; g.exists(home) {
			u.Home = `C:\Users\` + u.Name
			if u.HomeSize, err = Size(g.FS, g.Budget, home); err != nil {
				return err
			}
		}
		g.Facts.Users = append(g.Facts.Users, u)
	}
	return nil
}

// fileTime is Windows' time: units of 100 ns since 1601.
func fileTime(b []byte) time.Time {
	var t uint64
	for i := 7; i >= 0; i-- {
		t = t<<8 | uint64(b[i])
	}
	if t == 0 || t > 1<<62 {
		return time.Time{}
	}
	const epoch = 11644473600
	return time.Unix(int64(t/1e7)-epoch, 0).UTC()
}

// cloudbaseFiles are where cloudbase-init keeps its settings.
var cloudbaseFiles = []string{
	"Program Files/Cloudbase Solutions/Cloudbase-Init/conf/cloudbase-init.conf",
	"Program Files (x86)/Cloudbase Solutions/Cloudbase-Init/conf/cloudbase-init.conf",
}

// cloudbase reads the settings of cloudbase-init, a file of oslo.config.
func (g *Guest) cloudbase() error {
	for _, file := range cloudbaseFiles {
		b, err := g.read(file)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		settings := map[string]string{"file": "/" + file}
		for _, s := range ini(b) {
			if !strings.EqualFold(s.name, "DEFAULT") {
				continue
			}
			for _, k := range s.keys[:min(len(s.keys), 200)] {
				settings[cut(k.name)] = cut(k.value)
			}
		}
		g.Facts.Windows.Cloudbase = settings
		return nil
	}
	return nil
}

// hibernated looks at the file that holds the memory: it begins with "hibr"
// where the next start goes on from it.
func (g *Guest) hibernated() bool {
	r, _, done := g.openAt("hiberfil.sys")
	if r == nil {
		return false
	}
	defer done()
	var head [4]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return false
	}
	return slices.Contains([]string{"hibr", "HIBR", "rstr", "RSTR"}, string(head[:]))
}
