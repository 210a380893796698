package server

import "kuva/internal/images"

// InspectConfig says what the service makes of what it finds inside images.
type InspectConfig struct {
	// Off keeps it from looking [false].
	Off bool `yaml:"off"`
	// KeepProperties leaves os_distro and the like as the user set them, empty
	// or not [false].
	KeepProperties bool `yaml:"keep_properties"`
	// ReservedNetworks are address ranges that machines here cannot use, such
	// as 169.254.0.0/16.
	ReservedNetworks []string `yaml:"reserved_networks"`
	// Hold are the severities and ids of findings that keep an image from being
	// made public or community [secret]. An empty list holds nothing.
	Hold []string `yaml:"hold"`
	// Refuse are those with which content is not taken in [none].
	Refuse []string `yaml:"refuse"`
}

func (c *InspectConfig) inspection() (images.InspectConfig, error) {
	out := images.InspectConfig{Off: c.Off, KeepProperties: c.KeepProperties, Hold: c.Hold, Refuse: c.Refuse}
	var err error
	if out.Reserved, err = networks("reserved_networks", c.ReservedNetworks); err != nil {
		return out, err
	}
	return out, out.Check()
}
