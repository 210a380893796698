package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kuva/client"
)

// cloud is the flags that say which cloud is meant.
type cloud struct {
	settings client.Settings
}

func (c *cloud) flags(f *pflag.FlagSet) {
	f.StringVar(&c.settings.Cloud, "os-cloud", "", "`NAME` in clouds.yaml (default: OS_CLOUD, else the OS_ variables)")
	f.StringVar(&c.settings.CACert, "os-cacert", "", "trust the authorities of this PEM `FILE`")
	f.BoolVar(&c.settings.Insecure, "insecure", false, "do not check the service's certificate")
}

func (c *cloud) connect(ctx context.Context) (*client.Client, error) {
	c.settings.UserAgent = "kuva"
	return client.Connect(ctx, c.settings)
}

// judged gives errors of the client their exit codes.
func judged(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrNotFound):
		return &exitError{code: exitNotFound, err: err}
	case errors.Is(err, client.ErrDiffers):
		return &exitError{code: exitDamaged, err: err}
	}
	return err
}

// args makes a wrong number of arguments a mistake on the command line.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w\nSee: %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
