package check

import (
	"testing"

	"kuva/guest/guesttest"
)

func TestMachineID(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	want(t, machineID, guest{files: guesttest.Files{
		"etc/machine-id": id + "\n", "var/lib/dbus/machine-id": "-> /etc/machine-id",
	}}, "/etc/machine-id:1 "+id)
	want(t, machineID, guest{files: guesttest.Files{
		"etc/machine-id": "", "var/lib/dbus/machine-id": id + "\n",
	}}, "/var/lib/dbus/machine-id:1 "+id)
	for _, empty := range []string{"", "uninitialized\n", "\n"} {
		want(t, machineID, guest{files: guesttest.Files{"etc/machine-id": empty}})
	}
	want(t, machineID, guest{files: guesttest.Files{}})
}
