package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
)

func newImageDownload() *cobra.Command {
	var cloud cloud
	var output, bandwidth string
	var force, quiet, events bool
	cmd := &cobra.Command{
		Use:   "download ID|NAME",
		Short: "Save the content of an image",
		Long: `Save the content of an image to a file, or to standard output for "-".

The bytes are hashed on the way and compared with the image's digest; exit code 3
says that they differ. A connection that breaks is taken up again. Until all is
there and right the file is called FILE.part: a download that was stopped goes on
from it when you call it again.`,
		Example: `  kuva image download debian-12
  kuva image download debian-12 --output /srv/base.qcow2 --force
  kuva image download debian-12 --output - | qemu-img info -`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			img, err := c.Find(cmd.Context(), args[0])
			if err != nil {
				return judged(err)
			}
			lines := &eventLines{out: cmd.OutOrStdout(), on: events}
			p := newProgress(cmd, quiet || events, "download", img.Size)
			defer p.end()
			opt := client.DownloadOptions{
				Progress: func(done int64) {
					p.at(done, img.Size)
					lines.often(map[string]any{"event": "progress", "done": done, "total": img.Size})
				},
				Retry: func(err error) {
					p.say(fmt.Sprintf("%v: going on from there", err))
					lines.say(map[string]any{"event": "retry", "message": err.Error()})
				},
			}
			if bandwidth != "" {
				if opt.Bandwidth, err = parseRate(bandwidth); err != nil {
					return err
				}
			}
			if output == "-" {
				if events {
					return usagef("--events and --output - would both write to standard output")
				}
				return judged(c.Download(cmd.Context(), img, cmd.OutOrStdout(), opt))
			}
			if output == "" {
				output = fileName(img)
			}
			if !force {
				if _, err := os.Lstat(output); err == nil {
					return fmt.Errorf("%s is there already: choose another --output, or say --force", output)
				}
			}
			lines.say(map[string]any{"event": "began", "image": img.ID, "file": output})
			if err := save(cmd.Context(), c, img, output, force, opt); err != nil {
				lines.say(map[string]any{"event": "failed", "image": img.ID, "message": err.Error()})
				return judged(err)
			}
			p.end()
			lines.say(map[string]any{"event": "done", "image": img, "file": output})
			if !quiet {
				fmt.Fprintf(cmd.ErrOrStderr(), "saved %s, %s, as %s\n", img.ID, size(img.Size), output)
			}
			return nil
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVarP(&output, "output", "o", "", "`FILE` to write, - for standard output (default: the image's name)")
	f.BoolVar(&force, "force", false, "replace a file that is there")
	f.StringVar(&bandwidth, "bandwidth", "", "take at most so many bytes a second: `RATE` as 20MiB/s")
	f.BoolVar(&events, "events", false, "print what happens as JSON, one event a line")
	f.BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	return cmd
}

// fileName makes a file's name of an image's, which a stranger may have
// chosen: nothing of it leads out of the folder or hides the file.
func fileName(img api.Image) string {
	name := filepath.Base(filepath.Clean("/" + clean(img.Name)))
	if img.Name == "" || name == "/" || name[0] == '.' || name[0] == '-' || len(name) > 200 {
		name = img.ID
	}
	if img.DiskFormat != "" && filepath.Ext(name) != "."+img.DiskFormat {
		name += "." + img.DiskFormat
	}
	return name
}

// save downloads to FILE.part, going on from one that is there, and gives it
// its name when it is right. A part of something else is found out by the
// digest; then all is fetched anew, once.
func save(ctx context.Context, c *client.Client, img api.Image, output string, force bool, opt client.DownloadOptions) error {
	part := output + ".part"
	for again := false; ; again = true {
		resumed, err := savePart(ctx, c, img, part, opt)
		if errors.Is(err, client.ErrDiffers) {
			if rmErr := os.Remove(part); rmErr != nil {
				return errors.Join(err, rmErr)
			}
			if resumed && !again {
				opt.Retry(errors.New("what was in " + part + " is not of this image"))
				continue
			}
		}
		if err != nil {
			return err
		}
		break
	}
	if force {
		if err := os.Rename(part, output); err != nil {
			return err
		}
	} else if err := place(part, output); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(output))
}

// place gives the file its name without replacing one that came meanwhile.
func place(part, output string) error {
	err := os.Link(part, output)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s came into being meanwhile: the download is whole and lies in %s", output, part)
	case err != nil: // a file system without hard links
		return os.Rename(part, output)
	}
	return os.Remove(part)
}

func savePart(ctx context.Context, c *client.Client, img api.Image, part string, opt client.DownloadOptions) (resumed bool, err error) {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if resumed = info.Size() > 0; resumed {
		opt.Have = io.NewSectionReader(f, 0, info.Size())
	}
	if _, err := f.Seek(info.Size(), io.SeekStart); err != nil {
		return resumed, err
	}
	if err := c.Download(ctx, img, f, opt); err != nil {
		return resumed, err
	}
	return resumed, f.Sync()
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // some file systems cannot
	return nil
}
