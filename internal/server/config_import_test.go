package server

import (
	"strings"
	"testing"
)

// TestImportConfig: what is meant is taken, what cannot be meant is refused
// with its name.
func TestImportConfig(t *testing.T) {
	off := false
	for why, c := range map[string]ImportConfig{
		"":               {Schemes: []string{"https"}, Ports: []uint16{443, 8443}, AllowNetworks: []string{"10.1.2.0/24"}, Proxy: "http://proxy.test:3128", Locations: true, Regions: map[string]string{"Two": "https://two.test/image"}},
		"schemes":        {Schemes: []string{"ftp"}},
		"allow_networks": {AllowNetworks: []string{"10.1.2.3"}},
		"deny_networks":  {DenyNetworks: []string{"x"}},
		"allow_hosts":    {AllowHosts: []string{"http://mirror.test"}},
		"allow_hosts, ":  {AllowHosts: []string{"mirror.test:http"}},
		"allow_hosts, d": {DenyHosts: []string{"*.test"}},
		"proxy":          {Proxy: "proxy.test"},
		"ca_cert":        {CACert: "/nonexistent"},
		"locations":      {WebDownload: &off, Locations: true},
		"regions: Two":   {Regions: map[string]string{"Two": "ftp://two.test"}},
	} {
		out, err := c.imports(nil)
		switch {
		case why == "" && (err != nil || out.Web == nil || !out.Locations || out.Regions["Two"].Opener == nil):
			t.Errorf("%+v: %+v, %v", c, out, err)
		case why != "" && (err == nil || !strings.HasPrefix(err.Error(), why)):
			t.Errorf("%+v: %v, want %s", c, err, why)
		}
	}
	out, err := (&ImportConfig{WebDownload: &off}).imports(nil)
	if err != nil || out.Web != nil {
		t.Errorf("switched off: %+v, %v", out, err)
	}
	// A region is reached wherever it is, and nothing else is.
	out, err = (&ImportConfig{Regions: map[string]string{"Two": "http://10.0.0.5:9292/image"}}).imports(nil)
	if err != nil {
		t.Fatal(err)
	}
	for address, ok := range map[string]bool{
		"http://10.0.0.5:9292/image/v2/images": true, "http://10.0.0.6:9292/": false, "http://10.0.0.5/": false, "https://10.0.0.5:9292/": false,
	} {
		if err := out.Regions["Two"].Opener.Check(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err := out.Web.Check(address); err == nil {
			t.Errorf("users reach %s", address)
		}
	}
}
