package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kuva/internal/server"
)

func newBackup() *cobra.Command {
	var local local
	var opt server.BackupOptions
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "backup BACKUP --data DIR",
		Short: "Copy everything while the service runs",
		Long: `Add a snapshot of the service to the folder BACKUP, consistent in itself, while the
service may run. Only what BACKUP lacks is copied. Snapshots share what they have in
common; the oldest go when there are more than --keep.

BACKUP/keys holds the keys. Whoever has them and the rest reads every image: keep
their copy apart. Restore with kuva restore.`,
		Example: `  kuva backup /mnt/backup/kuva --data ./data
  kuva backup /mnt/backup/kuva --data ./data --keep 30 --quiet`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := local.settings()
			if err != nil {
				return err
			}
			p := newProgress(cmd, quiet, "backup", -1)
			opt.Progress, opt.Log = p.at, warnings(cmd)
			rep, err := server.Backup(cmd.Context(), c, args[0], opt)
			p.end()
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				err = writeJSON(cmd.OutOrStdout(), rep)
			case !quiet:
				fmt.Fprintf(cmd.OutOrStdout(), "snapshot %s: %d images in %d blobs, %d of them copied now (%s), %d removed\n",
					rep.Snapshot, rep.Images, rep.Blobs, rep.Copied, size(rep.Bytes), rep.Removed)
			}
			if err == nil && len(rep.Missing) > 0 {
				return missing(rep.Missing, "the service itself has lost them, all else is saved: run kuva depot verify")
			}
			return err
		},
	}
	f := cmd.Flags()
	local.flags(f)
	f.IntVar(&opt.Keep, "keep", 7, "how many snapshots stay: `N`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	return cmd
}

func newRestore() *cobra.Command {
	var opt server.RestoreOptions
	var data string
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "restore BACKUP --data DIR",
		Short: "Make a data folder from a backup",
		Long: `Make the data folder DIR, which must not be there yet, from the newest snapshot of
BACKUP or the one that --snapshot names. Start it with kuva serve --data DIR.

The restored service is the one of that moment: what was uploaded later is not
there, what was deleted later is there again.`,
		Example: `  kuva restore /mnt/backup/kuva --data ./data
  kuva restore /mnt/backup/kuva --data ./old --snapshot 20261121T101112Z --keys /mnt/safe/keys`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return usagef("say where to restore to: --data DIR")
			}
			p := newProgress(cmd, quiet, "restore", -1)
			opt.Progress = p.at
			rep, err := server.Restore(cmd.Context(), args[0], data, opt)
			p.end()
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				err = writeJSON(cmd.OutOrStdout(), rep)
			case !quiet:
				fmt.Fprintf(cmd.OutOrStdout(), "snapshot %s: %d images in %d blobs, %s\nStart it with: kuva serve --data %s\n",
					rep.Snapshot, rep.Images, rep.Blobs, size(rep.Bytes), data)
			}
			if err == nil && len(rep.Missing) > 0 {
				return missing(rep.Missing, "all else is restored: run kuva depot verify --data "+data+" to learn which images that affects")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "folder to make: `DIR`")
	f.StringVar(&opt.Snapshot, "snapshot", "", "`NAME` of the snapshot (default: the newest)")
	f.StringVar(&opt.Keys, "keys", "", "`DIR` of the keys, where they are kept apart (default: in the backup)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	return cmd
}

// missing says which blobs are not there.
func missing(keys []string, what string) error {
	const most = 10
	more := ""
	if n := len(keys) - most; n > 0 {
		keys, more = keys[:most], fmt.Sprintf(" and %d more", n)
	}
	return &exitError{code: exitDamaged, err: fmt.Errorf("not there or cut short: %q%s; %s", keys, more, what)}
}
