package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"kuva/guest"
	"kuva/guest/tree"
)

func newLs() *cobra.Command {
	var in inside
	var long bool
	cmd := &cobra.Command{
		Use:   "ls FILE [PATH]",
		Short: "List files inside a disk",
		Long: `List the folder PATH of the system in the disk FILE, with what its fstab mounts.
Nothing is mounted on this machine, and symbolic links are followed inside the disk.`,
		Example: `  kuva ls web.qcow2 /etc/ssh
  kuva ls -l kuva:debian-12 /`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, done, err := in.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer done()
			name := "."
			if len(args) > 1 {
				name = inGuest(args[1])
			}
			if err := needFiles(g, args[0]); err != nil {
				return err
			}
			i, err := g.FS.Stat(name)
			if err != nil {
				return notThere(err)
			}
			if !i.IsDir() {
				return listed(cmd, g.FS, path.Dir(name), i.Name(), long)
			}
			entries, err := g.FS.ReadDir(name)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if err := listed(cmd, g.FS, name, e.Name(), long); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	in.flags(f)
	f.BoolVarP(&long, "long", "l", false, "with mode, owner, size and time")
	return cmd
}

// inGuest makes of what the user typed a path of io/fs.
func inGuest(name string) string {
	if name = strings.Trim(path.Clean("/"+name), "/"); name == "" {
		return "."
	}
	return name
}

func needFiles(g *guest.Guest, name string) error {
	if g.FS == nil {
		return fmt.Errorf("%s: no file system was found that can be read; kuva inspect says what there is", name)
	}
	return nil
}

// notThere gives the exit code of what is missing.
func notThere(err error) error {
	if strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
		return &exitError{code: exitNotFound, err: err}
	}
	return err
}

func listed(cmd *cobra.Command, f *tree.FS, dir, name string, long bool) error {
	w := cmd.OutOrStdout()
	if !long {
		_, err := fmt.Fprintln(w, clean(name))
		return err
	}
	full := path.Join(dir, name)
	i, err := f.Lstat(full)
	if err != nil {
		_, err = fmt.Fprintf(w, "?????????? %s: %s\n", clean(name), clean(err.Error()))
		return err
	}
	a := tree.AttrOf(i)
	text := clean(name)
	if i.Mode().Type() == fs.ModeSymlink {
		if to, err := f.ReadLink(full); err == nil {
			text += " -> " + clean(to)
		}
	}
	_, err = fmt.Fprintf(w, "%v %6d %6d %12d %s %s\n", i.Mode(), a.UID, a.GID, i.Size(), i.ModTime().UTC().Format("2006-01-02 15:04"), text)
	return err
}
