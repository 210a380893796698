package main

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"kuva/api"
	"kuva/client"
)

func newImageImport() *cobra.Command {
	var cloud cloud
	var keys bucketFlags
	var n client.NewImage
	var from api.ImportImage
	var entry string
	var properties []string
	var asJSON, quiet, noWait bool
	cmd := &cobra.Command{
		Use:   "import SOURCE | --catalogue NAME",
		Short: "Make an image of what lies elsewhere",
		Long: `Have the service make an image of what lies elsewhere:

  https://…            an address that the service may ask
  bucket:NAME/OBJECT   a bucket that the operator configured (kuva image buckets)
  s3://BUCKET/OBJECT   a bucket of your own, with --endpoint, --region and the keys
                       of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  --catalogue NAME     an image that the operator lists (kuva image catalogue), whose
                       digest is known

One layer of gzip, xz, bzip2 or zstd is taken off, and the disk out of a tar, zip or
OVA. The format is told by the content. With --hash nothing else than these bytes
becomes the image. The command waits for the end and may be stopped: the service goes
on by itself. What fails leaves a queued image that says why. Only a kuva has this.`,
		Example: `  kuva image import https://example.org/debian-12.qcow2.xz --hash sha256:3a…
  kuva image import --catalogue debian-12 --name base
  kuva image import bucket:backups/web-1.qcow2`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if n.Properties, err = pairs(properties); err != nil {
				return err
			}
			var source string
			switch {
			case (len(args) == 0) == (entry == ""):
				return usage(spokenError("cli.import_source"))
			case entry != "":
				for _, flag := range []string{"hash", "exact", "disk", "disk-format", "property", "tag", "min-disk", "min-ram"} {
					if cmd.Flags().Changed(flag) {
						return usage(spokenError("cli.import_entry", "flag", "--"+flag))
					}
				}
			default:
				source = args[0]
				if err := importFrom(source, &keys, &from); err != nil {
					return err
				}
			}
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			var j api.Job
			if entry != "" {
				j, err = c.ImportEntry(cmd.Context(), entry, api.ImportEntry{Name: n.Name, Visibility: n.Visibility})
			} else {
				if n.Name == "" && from.Bucket == nil { // a manifest beside an object has one
					n.Name = importName(source)
				}
				j, err = importNew(cmd.Context(), c, n, from)
			}
			if err != nil {
				return judged(err)
			}
			if !noWait {
				if j, err = waitJob(cmd.Context(), cmd, c, j, "import", quiet); err != nil {
					return err
				}
			}
			img, err := c.Show(cmd.Context(), *j.Image)
			if err != nil {
				return judged(err)
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
	keys.flags(f)
	f.StringVar(&entry, "catalogue", "", "an image that the operator lists, by its `NAME`")
	f.StringVar(&from.Digest, "hash", "", "what the bytes at the source must have, as sha256:`HEX`")
	f.StringVar(&n.Name, "name", "", "`NAME` of the image (default: that of the source)")
	f.StringVar(&n.DiskFormat, "disk-format", "", "`FORMAT` of the content: raw, qcow2, … (default: told by the content)")
	f.StringVar(&n.Visibility, "visibility", "", "`VISIBILITY`: private, shared, community, public")
	f.Int64Var(&n.MinDisk, "min-disk", 0, "least disk that it runs on, in `GIB`")
	f.Int64Var(&n.MinRAM, "min-ram", 0, "least memory that it runs in, in `MIB`")
	f.StringArrayVar(&n.Tags, "tag", nil, "`TAG`; may be given several times")
	f.StringArrayVar(&properties, "property", nil, "property, `KEY=VALUE`; may be given several times")
	f.BoolVar(&from.Plain, "plain", false, "leave a manifest beside an object alone, and what it says of the image")
	f.BoolVar(&from.Exact, "exact", false, "keep the bytes as they are, packed ones too; needs --disk-format")
	f.IntVar(&from.Disk, "disk", 0, "take the disk of this `NUMBER`, from 1, out of an archive of several")
	f.BoolVar(&noWait, "no-wait", false, "print the image and do not wait for its content")
	f.BoolVar(&asJSON, "json", false, "print JSON, as the Image API writes it")
	f.BoolVarP(&quiet, "quiet", "q", false, "print the image's id and errors only")
	return cmd
}

// importFrom says what the source is.
func importFrom(source string, keys *bucketFlags, from *api.ImportImage) (err error) {
	if isBucket(source) {
		from.Bucket, err = keys.object(source)
		return err
	}
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || *keys != (bucketFlags{}) {
		return usage(spokenError("cli.import_address", "source", clean(source)))
	}
	from.URL = source
	return nil
}

// importName makes an image's name of the last part of an address.
func importName(source string) string {
	if u, err := url.Parse(source); err == nil && u.Path != "" {
		source = u.Path
	}
	name := path.Base(source)
	for _, ending := range []string{".gz", ".xz", ".bz2", ".zst", ".tar", ".zip", ".ova", ".qcow2", ".img", ".raw", ".vmdk", ".vhdx", ".vhd", ".vdi", ".iso"} {
		name = strings.TrimSuffix(name, ending)
	}
	if name == "" || name == "/" || name == "." {
		return "imported"
	}
	return name
}

// importNew makes an image and begins to fill it. One that cannot be begun
// with is taken away again.
func importNew(ctx context.Context, c *client.Client, n client.NewImage, from api.ImportImage) (api.Job, error) {
	if n.DiskFormat != "" {
		n.ContainerFormat = "bare"
	}
	img, err := c.Create(ctx, n)
	if err != nil {
		return api.Job{}, err
	}
	j, err := c.Import(ctx, img.ID, from)
	if err != nil {
		if gone := c.Delete(context.WithoutCancel(ctx), img.ID); gone != nil {
			return j, fmt.Errorf("%w (and the empty image %s stays: %w)", err, img.ID, gone)
		}
	}
	return j, err
}

func newImageCatalogue() *cobra.Command {
	var cloud cloud
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "catalogue",
		Short: "List images that the operator lists, to be imported",
		Long: `List the images that the operator of the site lists. They lie elsewhere, and are
imported by their names: see kuva image import.`,
		Example: `  kuva image catalogue
  kuva image import --catalogue debian-12`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			list, err := c.Catalogue(cmd.Context())
			if err != nil {
				return judged(err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			rows := make([][]string, len(list))
			for i, e := range list {
				rows[i] = []string{e.Name, e.OS, e.Version, e.Architecture, e.Licence}
			}
			return table(cmd.OutOrStdout(), []string{"NAME", "OS", "VERSION", "ARCHITECTURE", "LICENCE"}, rows)
		},
	}
	cloud.flags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as kuva's API writes it")
	return cmd
}
