package osinfo_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"kuva/guest/fact"
	"kuva/guest/guesttest"
	"kuva/guest/regf/regftest"
)

// multi is a list of texts as a value of a .reg file.
func multi(list ...string) string {
	var b []string
	for _, c := range utf16.Encode([]rune(strings.Join(list, "\x00") + "\x00\x00")) {
		b = append(b, fmt.Sprintf("%02x,%02x", c&0xff, c>>8))
	}
	return "hex(7):" + strings.Join(b, ",")
}

const software = `[HKEY_LOCAL_MACHINE\TEST\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows Server 2019 Standard"
"EditionID"="ServerStandard"
"CurrentVersion"="6.3"
"CurrentBuildNumber"="17763"
"UBR"=dword:0000100c
"ReleaseId"="1809"
"InstallDate"=dword:5f000000

[HKEY_LOCAL_MACHINE\TEST\Microsoft\Windows\CurrentVersion\Setup\State]
"ImageState"="IMAGE_STATE_COMPLETE"

[HKEY_LOCAL_MACHINE\TEST\Microsoft\Windows\CurrentVersion\Uninstall\{1}]
"DisplayName"="Cloudbase-Init 1.1.4"
"DisplayVersion"="1.1.4.0"
"Publisher"="Cloudbase Solutions Srl"

[HKEY_LOCAL_MACHINE\TEST\Microsoft\Windows\CurrentVersion\Uninstall\KB1]
"Other"="x"

`

const system = `[HKEY_LOCAL_MACHINE\TEST\Select]
"Current"=dword:00000002

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Control\ComputerName\ComputerName]
"ComputerName"="WIN-1"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Control\TimeZoneInformation]
"TimeZoneKeyName"="E. South America Standard Time"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Control\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}\{A}\Connection]
"Name"="Ethernet"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Control\Class\{4D36E96B-E325-11CE-BFC1-08002BE10318}]
"UpperFilters"=@KBD@

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Services\viostor]
"Start"=dword:00000000
"Type"=dword:00000001
"ImagePath"="System32\\drivers\\viostor.sys"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Services\netkvm]
"Start"=dword:00000003
"Type"=dword:00000001
"ImagePath"="\\SystemRoot\\System32\\drivers\\netkvm.sys"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Services\cloudbase-init]
"Start"=dword:00000002
"Type"=dword:00000010

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Services\Tcpip\Parameters\Interfaces\{A}]
"EnableDHCP"=dword:00000000
"IPAddress"=@IP@
"DefaultGateway"=@GW@
"NameServer"="10.0.0.2,10.0.0.3"

[HKEY_LOCAL_MACHINE\TEST\ControlSet002\Services\Tcpip\Parameters\Interfaces\{B}]
"EnableDHCP"=dword:00000001

`

// sam has an account that is on and one that is off; the numbers of accounts
// stand in the types of values.
const sam = `[HKEY_LOCAL_MACHINE\TEST\SAM\Domains\Account\Users\Names\Administrator]
@=hex(1f4):

[HKEY_LOCAL_MACHINE\TEST\SAM\Domains\Account\Users\Names\Guest]
@=hex(1f5):

[HKEY_LOCAL_MACHINE\TEST\SAM\Domains\Account\Users\000001F4]
"F"=hex:02,00,01,00,00,00,00,00,00,80,3e,d5,de,b1,9d,01@REST@,10,02

[HKEY_LOCAL_MACHINE\TEST\SAM\Domains\Account\Users\000001F5]
"F"=hex:02,00,01,00,00,00,00,00,00,00,00,00,00,00,00,00@REST@,11,02

`

func TestWindows(t *testing.T) {
	rest := strings.Repeat(",00", 40)
	sys := strings.NewReplacer("@IP@", multi("10.0.0.5"), "@GW@", multi("10.0.0.1"), "@KBD@", multi("vmkbd", "kbdclass")).Replace(system)
	f, notes := gather(t, guesttest.Files{
		"Windows/System32/config/SOFTWARE":     string(regftest.Merge(t, software)),
		"Windows/System32/config/SYSTEM":       string(regftest.Merge(t, sys)),
		"Windows/System32/config/SAM":          string(regftest.Merge(t, strings.ReplaceAll(sam, "@REST@", rest))),
		"Windows/system32/drivers/viostor.sys": "x",
		"hiberfil.sys":                         "hibr",
		"Users/Administrator/notes.txt":        "0123456789",
		"Program Files/Cloudbase Solutions/Cloudbase-Init/conf/cloudbase-init.conf": "[DEFAULT]\nusername=Administrator\ngroups=Administrators\ninject_user_password=true\nlogging_serial_port_settings=COM1,115200,N,8\n",
	})
	if len(notes) > 0 {
		t.Errorf("notes: %+v", notes)
	}
	same(t, f.OS, &fact.OS{
		Family: "windows", Distro: "windows", Name: "Windows Server 2019 Standard", Version: "2019", Codename: "1809", Build: "17763.4108",
		Arch: "x86_64", Hostname: "WIN-1", Timezone: "E. South America Standard Time", Installed: time.Unix(0x5f000000, 0).UTC(),
	})
	key := func(id string) string { return `ControlSet002\Services\Tcpip\Parameters\Interfaces\` + id }
	same(t, f.Windows, &fact.Windows{
		Edition: "ServerStandard", Sysprep: "IMAGE_STATE_COMPLETE", Hibernated: true, Filters: map[string][]string{"keyboard": {"vmkbd", "kbdclass"}},
		Drivers: []fact.WindowsDriver{
			{Name: "viostor", Start: 0, Image: `System32\drivers\viostor.sys`, Found: true},
			{Name: "netkvm", Start: 3, Image: `\SystemRoot\System32\drivers\netkvm.sys`},
		},
		Adapters: []fact.Interface{
			{Name: "Ethernet", Method: "static", Addresses: []string{"10.0.0.5"}, Gateway: "10.0.0.1", DNS: []string{"10.0.0.2", "10.0.0.3"}, Renderer: "windows", File: key("{A}")},
			{Name: "{B}", Method: "dhcp", Renderer: "windows", File: key("{B}")},
		},
		Cloudbase: map[string]string{
			"file": "/Program Files/Cloudbase Solutions/Cloudbase-Init/conf/cloudbase-init.conf", "username": "Administrator", "groups": "Administrators",
			"inject_user_password": "true", "logging_serial_port_settings": "COM1,115200,N,8",
		},
	})
	same(t, f.Users, []fact.User{{
		Name: "Administrator", UID: 500, Home: `C:\Users\Administrator`, Password: "set", HomeSize: 10, LastLogin: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
	}})
	same(t, f.Packages, []fact.Package{{Name: "Cloudbase-Init 1.1.4", Version: "1.1.4.0", Vendor: "Cloudbase Solutions Srl"}})
	same(t, f.Services, []fact.Service{{Name: "cloudbase-init", Enabled: true, File: `ControlSet002\Services\cloudbase-init`}})
}
