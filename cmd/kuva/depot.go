package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kuva/internal/server"
)

func newDepot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "depot",
		Short: "Clean, check and rebuild the store",
		Long: `Tend the depot of a data folder: clean up what nothing needs, check every byte,
or make the database anew from the store. Cleaning and checking go on beside a
running service; rebuilding needs it stopped.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDepotGC(), newDepotVerify(), newDepotRebuild())
	return cmd
}

// local is the flags that say which data folder is meant. They are those of
// kuva serve, and so are the variables and the file.
type local struct {
	config   string
	data     string
	database string
}

func (l *local) flags(f *pflag.FlagSet) {
	f.StringVar(&l.config, "config", os.Getenv("KUVA_CONFIG"), "YAML `FILE` with the settings of kuva serve")
	f.StringVar(&l.data, "data", "", "folder of the service: `DIR`")
	f.StringVar(&l.database, "database", "", "database, `URL` sqlite:PATH or postgres://… (default: in the data folder)")
}

func (l *local) settings() (server.Config, error) {
	c, err := server.LoadConfig(l.config, os.Getenv)
	if err != nil {
		return c, usage(err)
	}
	if l.data != "" {
		c.Data = l.data
	}
	if l.database != "" {
		c.Database = l.database
	}
	if c.Data == "" {
		return c, usagef("say which folder is meant: --data DIR")
	}
	return c, nil
}

// warnings is the log of commands: what an operator must know.
func warnings(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// openTools opens a data folder for a command that works beside the service.
func (l *local) openTools(cmd *cobra.Command) (*server.Tools, error) {
	c, err := l.settings()
	if err != nil {
		return nil, err
	}
	return server.OpenTools(cmd.Context(), c, warnings(cmd))
}
