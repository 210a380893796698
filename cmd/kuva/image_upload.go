package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
)

func newImageUpload() *cobra.Command {
	var cloud cloud
	var n client.NewImage
	var properties []string
	var asJSON, quiet, mustBoot bool
	var how sending
	cmd := &cobra.Command{
		Use:   "upload FILE|-",
		Short: "Make an image of a file",
		Long: `Make an image and fill it with a file, or with standard input for "-". The name is
the file's without its ending, the disk format is told by its bytes, unless you say
otherwise. A file is looked into before its first byte is sent, and the worst that
was found is told: see kuva inspect.

A kuva is asked first which chunks of the disk it lacks, and only those travel,
packed; of another cloud, and of standard input, all bytes travel (--method put).
An upload that was broken off goes on where it was when the same command is run
again, within some days.

With --method put the bytes are hashed on the way and compared with what the
service says it keeps. If that fails, the image stays and can be filled again:
name it with --id.`,
		Example: `  kuva image upload debian-12.qcow2
  kuva image upload disk.img --name web-1 --disk-format raw --property os_distro=debian
  xz -dc disk.raw.xz | kuva image upload - --name web-2 --disk-format raw
  kuva image upload debian-12.qcow2 --id 7a1b2c3d-0000-4000-8000-123456789abc`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if n.Properties, err = pairs(properties); err != nil {
				return err
			}
			if err := how.check(); err != nil {
				return err
			}
			in, bytes, err := openSource(cmd, args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			if err := guess(cmd.Context(), &n, in, bytes, args[0]); err != nil {
				return err
			}
			f, isFile := in.(*os.File)
			switch {
			case isFile && bytes >= 0 && n.DiskFormat != "" && n.ContainerFormat == "bare":
				if err := lookFirst(cmd, f, bytes, n.DiskFormat, quiet, mustBoot); err != nil {
					return err
				}
			case mustBoot:
				return usagef("--check needs a file that can be looked into before it is sent")
			}
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			d, err := how.asksFirst(cmd.Context(), c, n, in, bytes, cmd.Flags().Changed("disk-format"))
			if err != nil {
				return judged(err)
			}
			var img api.Image
			if d != nil {
				img, err = how.askUpload(cmd, c, n, f, d, quiet)
			} else {
				img, err = how.put(cmd, c, n, in, bytes, quiet)
			}
			if err != nil {
				return err
			}
			if how.events {
				return nil
			}
			if quiet && !asJSON {
				fmt.Fprintln(cmd.OutOrStdout(), img.ID)
				return nil
			}
			return printImage(cmd.OutOrStdout(), img, asJSON)
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVar(&n.Name, "name", "", "`NAME` of the image (default: of the file)")
	f.StringVar(&n.DiskFormat, "disk-format", "", "`FORMAT` of the file: raw, qcow2, vmdk, vdi, vhd, vhdx, iso (default: by its bytes)")
	f.StringVar(&n.ContainerFormat, "container-format", "bare", "`FORMAT` of what is around the disk")
	f.StringVar(&n.Visibility, "visibility", "", "who may see it: `VISIBILITY` private, shared, community, public")
	f.StringArrayVar(&n.Tags, "tag", nil, "`TAG`; may be given several times")
	f.StringArrayVar(&properties, "property", nil, "`KEY=VALUE`; may be given several times")
	f.Int64Var(&n.MinDisk, "min-disk", 0, "`GiB` of disk that a machine needs to boot it")
	f.Int64Var(&n.MinRAM, "min-ram", 0, "`MiB` of memory that a machine needs to boot it")
	f.BoolVar(&n.Protected, "protected", false, "keep it from being deleted")
	f.StringVar(&n.ID, "id", "", "`ID` of a queued image to fill, or of the new one")
	f.BoolVar(&mustBoot, "check", false, "upload nothing if something inside keeps a machine from starting")
	f.StringVar(&how.method, "method", methodAuto, "`METHOD`: ask (what the cloud lacks of the disk), put (the file as it is), auto")
	f.StringVar(&how.bandwidth, "bandwidth", "", "send at most so many bytes a second: `RATE` as 20MiB/s")
	f.StringVar(&how.terms, "accept-terms", "", "accept the site's terms of this `VERSION`; the service says where there are any")
	f.BoolVar(&how.events, "events", false, "print what happens as JSON, one event a line, the image last")
	f.BoolVar(&asJSON, "json", false, "print the image as JSON")
	f.BoolVarP(&quiet, "quiet", "q", false, "no progress; print the image's id only")
	return cmd
}

// openSource opens what is to be uploaded; bytes is -1 where its length is
// not known beforehand.
func openSource(cmd *cobra.Command, name string) (in io.ReadCloser, bytes int64, err error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder: name the file in it", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		// A disk's length is where it ends; a pipe has none.
		if end, err := f.Seek(0, io.SeekEnd); err == nil && end > 0 {
			_, err = f.Seek(0, io.SeekStart)
			return f, end, err
		}
		return f, -1, nil
	}
	return f, info.Size(), nil
}

// guess fills in name and disk format.
func guess(ctx context.Context, n *client.NewImage, in io.Reader, bytes int64, file string) error {
	if n.Name == "" && file != "-" && n.ID == "" {
		base := filepath.Base(file)
		n.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if n.DiskFormat != "" {
		return nil
	}
	at, ok := in.(io.ReaderAt)
	if !ok || file == "-" {
		if n.ID != "" {
			return nil
		}
		return usagef("the format of standard input is not known: say --disk-format raw, qcow2, …")
	}
	if bytes < 0 {
		if n.ID != "" {
			return nil
		}
		return usagef("the format of %s is not known: say --disk-format raw, qcow2, …", file)
	}
	n.DiskFormat = detected(ctx, at, bytes)
	return nil
}

// put sends a file as it is.
func (s *sending) put(cmd *cobra.Command, c *client.Client, n client.NewImage, in io.Reader, bytes int64, quiet bool) (api.Image, error) {
	img, err := queued(cmd, c, n)
	if err != nil {
		return img, judged(err)
	}
	if s.rate > 0 {
		in = &paced{Reader: in, rate: s.rate}
	}
	p := newProgress(cmd, quiet || s.events, "upload", bytes)
	events := &eventLines{out: cmd.OutOrStdout(), on: s.events}
	events.say(map[string]any{"event": "began", "image": img.ID, "resumed": false})
	img, err = upload(cmd, c, img, in, bytes, p, events)
	p.end()
	if err != nil {
		events.say(map[string]any{"event": "failed", "image": img.ID, "message": err.Error()})
		return img, err
	}
	events.say(map[string]any{"event": "done", "image": img})
	return img, nil
}

// queued finds the image to fill, or makes it.
func queued(cmd *cobra.Command, c *client.Client, n client.NewImage) (api.Image, error) {
	if n.ID == "" {
		return c.Create(cmd.Context(), n)
	}
	return fillable(cmd, c, n)
}

// fillable finds the image with an id, or makes it.
func fillable(cmd *cobra.Command, c *client.Client, n client.NewImage) (api.Image, error) {
	img, err := c.Show(cmd.Context(), n.ID)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return c.Create(cmd.Context(), n)
	case err != nil:
		return img, err
	case img.Status == "uploading" && cmd.Flags().Lookup("method").Value.String() != methodPut:
		return img, nil // an upload that was broken off goes on
	case img.Status != "queued":
		return img, fmt.Errorf("image %s is %s: only a queued one can be filled", img.ID, img.Status)
	}
	for _, flag := range []string{"name", "disk-format", "container-format", "visibility", "tag", "property", "min-disk", "min-ram", "protected"} {
		if cmd.Flags().Changed(flag) {
			return img, usagef("image %s is there already and is filled as it is: leave --%s out", img.ID, flag)
		}
	}
	return img, nil
}

func upload(cmd *cobra.Command, c *client.Client, img api.Image, in io.Reader, bytes int64, p *progress, events *eventLines) (api.Image, error) {
	done, err := c.Upload(cmd.Context(), img.ID, in, client.UploadOptions{
		Size: bytes, Progress: func(sent int64) {
			p.at(sent, bytes)
			events.often(map[string]any{"event": "progress", "done": sent, "total": bytes, "sent": sent})
		},
	})
	if err != nil {
		return done, judged(fmt.Errorf("%w\nThe image stays queued. Fill it again with: kuva image upload FILE --id %s\nor give it up with: kuva image delete %[2]s", err, img.ID))
	}
	return done, nil
}
