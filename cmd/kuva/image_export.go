package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kuva/api"
	"kuva/client"
)

func newImageExport() *cobra.Command {
	var cloud cloud
	var keys bucketFlags
	var x api.NewExport
	var to string
	var settings []string
	var asJSON, quiet, noWait, end bool
	cmd := &cobra.Command{
		Use:   "export ID|NAME --to TARGET",
		Short: "Write an image to a bucket or a signed URL",
		Long: `Have the service write an image, as a file of any format, to

  bucket:NAME/OBJECT   a bucket that the operator configured (kuva image buckets)
  s3://BUCKET/OBJECT   a bucket of your own, with --endpoint, --region and the keys
                       of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  https://…            an address that takes the file by PUT, signed elsewhere

The object is there whole or not at all, with a manifest beside it that says what
it is. The command shows how far the service is; it may be stopped, and watches
the same export again when it is called again. The export goes on meanwhile: end
it with kuva image export ID --to TARGET --cancel.`,
		Example: `  kuva image export debian-12 --to bucket:backups/debian-12.qcow2 --format qcow2
  kuva image export debian-12 --to s3://mine/debian.vmdk --endpoint https://s3.example.org --format vmdk --compress
  kuva image export debian-12 --to "$SIGNED_URL"`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if x.Settings, err = pairs(settings); err != nil {
				return err
			}
			if err := keys.target(&x, to); err != nil {
				return err
			}
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			img, err := c.Find(cmd.Context(), args[0])
			if err != nil {
				return judged(err)
			}
			e, err := underWay(cmd.Context(), c, img.ID, &x)
			switch {
			case err != nil:
				return judged(err)
			case end && e.ID == "":
				return &exitError{code: exitNotFound, err: fmt.Errorf("no export of %s to %s is under way", img.ID, to)}
			case end:
				if err := c.CancelExport(cmd.Context(), e.ID); err != nil {
					return judged(err)
				}
			case e.ID == "":
				if e, err = c.StartExport(cmd.Context(), img.ID, x); err != nil {
					return judged(err)
				}
			}
			if !noWait {
				if e, err = watchExport(cmd, c, e, quiet); err != nil {
					return err
				}
			}
			if asJSON {
				if err := writeJSON(cmd.OutOrStdout(), e); err != nil {
					return err
				}
			} else if noWait || quiet {
				fmt.Fprintln(cmd.OutOrStdout(), e.ID)
			}
			return exportResult(cmd, e, quiet || asJSON || noWait, end)
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	keys.flags(f)
	f.StringVar(&to, "to", "", "`TARGET` bucket:NAME/OBJECT, s3://BUCKET/OBJECT or a signed URL")
	f.StringVar(&x.Format, "format", "", "`FORMAT` of the file: raw, qcow2, vmdk, vhd, vdi, ova, raw.gz, … (default: as the image is)")
	f.BoolVar(&x.Compress, "compress", false, "a compressed file")
	f.StringArrayVar(&settings, "setting", nil, "`KEY=VALUE` of the format, as qemu-img's -o; may be given several times")
	f.BoolVar(&x.Overwrite, "overwrite", false, "replace an object that is there")
	f.StringVar(&x.Encryption, "encryption", "", "ask the bucket to encrypt: `HOW` AES256 or aws:kms")
	f.StringVar(&x.KMSKey, "kms-key", "", "`ID` of a key of the bucket's key service")
	f.BoolVar(&noWait, "no-wait", false, "print the export's id and do not wait for its end")
	f.BoolVar(&end, "cancel", false, "end the export to this target that is under way")
	f.BoolVar(&asJSON, "json", false, "print the export as JSON, with its manifest")
	f.BoolVarP(&quiet, "quiet", "q", false, "no progress; print the export's id only")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// bucketFlags say where a bucket of the user's own is.
type bucketFlags struct{ endpoint, region, style string }

func (b *bucketFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&b.endpoint, "endpoint", "", "`URL` of the S3 service of s3:// (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon's)")
	f.StringVar(&b.region, "region", "", "`REGION` of s3:// (default: AWS_REGION, AWS_DEFAULT_REGION)")
	f.StringVar(&b.style, "bucket-style", "", "`STYLE` path or virtual (default: as the endpoint is known for)")
}

// isBucket tells bucket:NAME/OBJECT and s3://BUCKET/OBJECT from URLs.
func isBucket(address string) bool {
	return strings.HasPrefix(address, "bucket:") || strings.HasPrefix(address, "s3://")
}

// object understands bucket:NAME/OBJECT and s3://BUCKET/OBJECT.
func (b *bucketFlags) object(address string) (*api.BucketObject, error) {
	rest, named := strings.CutPrefix(address, "bucket:")
	if !named {
		rest = strings.TrimPrefix(address, "s3://")
	}
	name, object, ok := strings.Cut(rest, "/")
	if !ok || name == "" || object == "" {
		return nil, usagef("%s: write it as bucket:NAME/OBJECT or s3://BUCKET/OBJECT", address)
	}
	if named {
		if *b != (bucketFlags{}) {
			return nil, usagef("--endpoint, --region and --bucket-style are for s3://; a configured bucket has its own")
		}
		return &api.BucketObject{Name: name, Object: object}, nil
	}
	region := first(b.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	return &api.BucketObject{
		Endpoint: strings.TrimRight(first(b.endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3."+region+".amazonaws.com"), "/"),
		Region:   region, Bucket: name, Style: b.style, Object: object,
		Access: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"), Session: os.Getenv("AWS_SESSION_TOKEN"),
	}, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// target fills in where an export goes.
func (b *bucketFlags) target(x *api.NewExport, to string) (err error) {
	if isBucket(to) {
		x.Bucket, err = b.object(to)
		return err
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return usagef("--to: write it as bucket:NAME/OBJECT, s3://BUCKET/OBJECT or https://…")
	}
	if *b != (bucketFlags{}) {
		return usagef("--endpoint, --region and --bucket-style are for s3://")
	}
	x.Signed = &api.SignedURLs{Put: to}
	return nil
}

// underWay finds an export of the same to the same object that has not ended,
// so that a command that was stopped watches it again. Its ID is "" where there
// is none. Signed addresses are never shown, and not found again.
func underWay(ctx context.Context, c *client.Client, image string, x *api.NewExport) (api.Export, error) {
	if x.Bucket == nil {
		return api.Export{}, nil
	}
	list, err := c.Exports(ctx, image)
	if err != nil {
		return api.Export{}, err
	}
	want := *x.Bucket
	want.Access, want.Secret, want.Session = "", "", ""
	for _, e := range list {
		if (e.State == "pending" || e.State == "running") && e.Bucket != nil && *e.Bucket == want {
			return e, nil
		}
	}
	return api.Export{}, nil
}

// watchEvery is the time between two looks at an export.
const watchEvery = 300 * time.Millisecond

// watchExport shows how far an export is until it has ended. A service that
// does not answer for a while is asked again.
func watchExport(cmd *cobra.Command, c *client.Client, e api.Export, quiet bool) (api.Export, error) {
	total := func(e api.Export) int64 {
		if e.Size == nil {
			return -1
		}
		return *e.Size
	}
	p := newProgress(cmd, quiet, "export", total(e))
	defer p.end()
	attempt, lost := e.Attempt, time.Time{}
	for e.State == "pending" || e.State == "running" {
		select {
		case <-cmd.Context().Done():
			p.say("the export goes on without this command; call it again to watch it")
			return e, &exitError{code: exitFailed}
		case <-time.After(watchEvery):
		}
		now, err := c.Export(cmd.Context(), e.ID)
		var refusal *client.Error
		switch {
		case err == nil:
			lost = time.Time{}
		case cmd.Context().Err() != nil:
			continue
		case errors.As(err, &refusal) && refusal.Status < http.StatusInternalServerError:
			return e, judged(err)
		case lost.IsZero():
			lost = time.Now()
			p.say(fmt.Sprintf("%v: asking again", err))
			continue
		case time.Since(lost) > 5*time.Minute:
			return e, judged(err)
		default:
			continue
		}
		if e = now; e.Attempt > attempt && attempt > 0 && e.Failure != nil {
			p.say(e.Failure.Sentence + " (trying again)")
		}
		attempt = e.Attempt
		p.at(e.Done, total(e))
	}
	return e, nil
}

// exportResult says how an export ended.
func exportResult(cmd *cobra.Command, e api.Export, silent, wanted bool) error {
	switch e.State {
	case "failed":
		return fmt.Errorf("the export failed: %s", e.Failure.Sentence)
	case "cancelled":
		if wanted {
			return nil
		}
		return errors.New("the export was cancelled")
	case "done":
		if m := e.Manifest; m != nil && !silent {
			fmt.Fprintf(cmd.OutOrStdout(), "exported %s, %s\nsha256 %s\n", clean(m.Image.ID), size(m.Size), clean(m.SHA256))
		}
	}
	return nil
}

func newImageBuckets() *cobra.Command {
	var cloud cloud
	var asJSON bool
	var prefix string
	cmd := &cobra.Command{
		Use:   "buckets [NAME]",
		Short: "List configured buckets, or the objects of one",
		Long: `List the buckets that the operator configured for your project, or with a name
the objects of one.`,
		Example: `  kuva image buckets
  kuva image buckets backups --prefix debian`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cloud.connect(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if len(args) == 0 {
				list, err := c.Buckets(cmd.Context())
				if err != nil {
					return judged(err)
				}
				if asJSON {
					return writeJSON(out, list)
				}
				for _, b := range list {
					can := map[[2]bool]string{{true, false}: "import", {false, true}: "export", {true, true}: "import, export"}[[2]bool{b.Read, b.Write}]
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", clean(b.Name), clean(b.Endpoint), clean(b.Bucket), can)
				}
				return nil
			}
			var all []api.ListedObject
			for marker, more := "", true; more; {
				var list []api.ListedObject
				if list, more, err = c.Objects(cmd.Context(), args[0], prefix, marker); err != nil {
					return judged(err)
				}
				all = append(all, list...)
				if len(list) > 0 {
					marker = list[len(list)-1].Object
				}
			}
			if asJSON {
				return writeJSON(out, all)
			}
			for _, o := range all {
				fmt.Fprintf(out, "%s\t%s\t%s\n", o.ModifiedAt.UTC().Format(api.ImageTime), size(o.Size), clean(o.Object))
			}
			return nil
		},
	}
	f := cmd.Flags()
	cloud.flags(f)
	f.StringVar(&prefix, "prefix", "", "only objects whose names begin with `TEXT`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
