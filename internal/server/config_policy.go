package server

import (
	"path/filepath"

	"kuva/internal/policy"
)

// policy reads the operator's rules; without a file kuva's own hold.
func (c *Config) policy() (*policy.Policy, error) {
	if c.Policy == "" {
		return policy.Default(), nil
	}
	path := c.Policy
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Data, path)
	}
	return policy.Open(path)
}
