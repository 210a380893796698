package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"kuva/internal/server"
)

func newServe() *cobra.Command {
	var flags server.Config
	var config string
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run the service",
		Long: `Run the image service. The first start makes the data folder, its keys, the
user admin and a clouds.yaml with which clients log in at once.

Settings come from flags, else from the environment (KUVA_LISTEN for --listen
and so on), else from the YAML file. KUVA_ADMIN_PASSWORD sets the first
administrator's password; without it a random one is made and shown once.`,
		Example: `  kuva serve --data ./data
  export OS_CLIENT_CONFIG_FILE=./data/clouds.yaml OS_CLOUD=kuva
  openstack image list`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.LoadConfig(config, os.Getenv)
			if err != nil {
				return usage(err)
			}
			overlay(cmd, &c, flags)
			keepSmall()
			log := newLog(cmd.ErrOrStderr(), c.LogFormat)
			s, err := server.Open(cmd.Context(), c, server.Options{
				Log: log, AdminPassword: os.Getenv("KUVA_ADMIN_PASSWORD"), Announce: announce(cmd),
			})
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.Run(cmd.Context()); err != nil {
				return err
			}
			return s.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&config, "config", os.Getenv("KUVA_CONFIG"), "YAML `FILE` with settings")
	f.StringVar(&flags.Data, "data", "", "folder of the service: `DIR`")
	f.StringVar(&flags.Listen, "listen", "", "`HOST:PORT` to listen on (default 127.0.0.1:9292)")
	f.StringVar(&flags.TLSCert, "tls-cert", "", "certificate, PEM `FILE`")
	f.StringVar(&flags.TLSKey, "tls-key", "", "private key, PEM `FILE`")
	f.StringVar(&flags.PublicURL, "public-url", "", "`URL` that clients use, e.g. behind a proxy")
	f.BoolVar(&flags.InsecureHTTP, "insecure-http", false, "allow plain HTTP on an address that others reach")
	f.StringVar(&flags.Database, "database", "", "database, `URL` sqlite:PATH or postgres://… (default: in the data folder)")
	f.StringVar(&flags.LogFormat, "log-format", "", "text or json (default text)")
	return cmd
}

// keepSmall trades a little CPU for memory: nearly all of the heap is buffers
// of uploads, which cost the collector nothing to look at, so it may run four
// times as often as usual. GOGC in the environment goes before.
func keepSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

// overlay puts the flags that were given over the other settings.
func overlay(cmd *cobra.Command, c *server.Config, flags server.Config) {
	for name, v := range map[string]struct{ to, from *string }{
		"data": {&c.Data, &flags.Data}, "listen": {&c.Listen, &flags.Listen}, "tls-cert": {&c.TLSCert, &flags.TLSCert},
		"tls-key": {&c.TLSKey, &flags.TLSKey}, "public-url": {&c.PublicURL, &flags.PublicURL},
		"database": {&c.Database, &flags.Database}, "log-format": {&c.LogFormat, &flags.LogFormat},
	} {
		if cmd.Flags().Changed(name) {
			*v.to = *v.from
		}
	}
	if cmd.Flags().Changed("insecure-http") {
		c.InsecureHTTP = flags.InsecureHTTP
	}
}

// announce is where the first password is shown: the terminal, if there is
// one. Into a log it must not go; clouds.yaml has it anyway.
func announce(cmd *cobra.Command) io.Writer {
	if f, ok := cmd.OutOrStdout().(*os.File); ok && isTerminal(f) {
		return f
	}
	return io.Discard
}

func newLog(w io.Writer, format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  args(cobra.NoArgs),
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version()) },
	}
}
