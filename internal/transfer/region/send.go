package region

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"

	"kuva"
	"kuva/api"
	"kuva/client"
	"kuva/disk"
	"kuva/internal/images"
	"kuva/internal/job"
)

// run is the job.
func (s *Service) run(ctx context.Context, run *job.Run) error {
	var w wish
	if err := run.Decode(&w); err != nil {
		return err
	}
	peer, ok := s.cfg.Peers[w.Peer]
	if !ok || !peer.of(w.Principal.ProjectID) {
		return kuva.E(kuva.CodeInvalid, "region.unknown", "list", strings.Join(s.Peers(w.Principal), ", "))
	}
	c, err := s.cfg.Images.Download(ctx, w.Principal, run.Image)
	if err != nil {
		return err
	}
	d, exact, err := c.Whole(ctx)
	if err != nil {
		return err
	}
	run.Say("log in at "+w.Peer, "bytes")
	there, err := client.Connect(ctx, peer.Settings)
	if err != nil {
		return s.failed(ctx, w.Peer, err)
	}
	t := &sending{s: s, peer: &peer, name: w.Peer, there: there, run: run, content: c, disk: d, exact: exact}
	if err := t.send(ctx); err != nil {
		return s.failed(ctx, w.Peer, err)
	}
	return nil
}

// sending is one image on its way.
type sending struct {
	s       *Service
	peer    *Peer
	name    string
	there   *client.Client
	run     *job.Run
	content *images.Content
	disk    disk.Disk
	exact   bool
}

func (t *sending) send(ctx context.Context) error {
	img := t.content.Image
	ask, err := t.there.CanAsk(ctx)
	if err != nil {
		return err
	}
	have, err := t.there.Show(ctx, img.ID)
	switch {
	case errors.Is(err, client.ErrNotFound):
		if have, err = t.there.Create(ctx, t.record(ask)); err != nil {
			return err
		}
	case err != nil:
		return err
	case have.Status == "active":
		return t.same(have)
	case have.Status != "queued" && have.Status != "uploading" && have.Status != "importing":
		return kuva.E(kuva.CodeConflict, "region.other", "peer", t.name, "status", have.Status)
	}
	t.run.Say("send what "+t.name+" lacks", "bytes")
	if ask {
		return t.askFirst(ctx)
	}
	t.run.Say("send to "+t.name, "bytes")
	if have.Status != "queued" { // an upload that broke off
		return kuva.E(kuva.CodeUnavailable, "region.busy", "peer", t.name, "status", have.Status)
	}
	r, err := t.content.Reader(ctx, 0, t.content.Size())
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	have, err = t.there.Upload(ctx, img.ID, io.Reader(r), client.UploadOptions{
		Size: t.content.Size(), Progress: func(sent int64) { t.run.Progress(sent, t.content.Size()) },
	})
	if err != nil {
		return err
	}
	return t.same(have)
}

// askFirst sends what the peer has not got.
func (t *sending) askFirst(ctx context.Context) error {
	img := t.content.Image
	o := client.AskOptions{
		Fill: img.ID, Exact: t.exact, Source: "replicate " + img.ID, Bandwidth: t.peer.Bandwidth, Terms: t.peer.Terms,
		Progress: func(p client.AskProgress) { t.run.Progress(p.Done, p.Total) },
	}
	switch {
	case !t.exact && (img.DiskFormat == "raw" || img.DiskFormat == "qcow2"):
		o.Native = img.DiskFormat
	case t.exact && img.HashAlgo == "sha512":
		o.SHA512 = img.HashValue
	}
	have, err := t.there.AskUpload(ctx, t.disk, o)
	if err != nil {
		return err
	}
	return t.same(have)
}

// record is what the copy is to be.
func (t *sending) record(kuvaThere bool) client.NewImage {
	img := t.content.Image
	n := client.NewImage{
		ID: img.ID, Name: img.Name, DiskFormat: img.DiskFormat, ContainerFormat: img.ContainerFormat, Hidden: img.Hidden,
		MinDisk: img.MinDisk, MinRAM: img.MinRAM, Tags: img.Tags, Properties: map[string]string{},
	}
	if t.peer.KeepOwner {
		n.Owner = img.Owner
	}
	for name, value := range img.Properties {
		// What a service says of an image it says itself.
		if !strings.HasPrefix(name, "kuva_source_") && !strings.HasPrefix(name, "os_glance") {
			n.Properties[name] = value
		}
	}
	if !kuvaThere {
		maps.DeleteFunc(n.Properties, func(name, _ string) bool { return strings.HasPrefix(name, "kuva_") })
	}
	return n
}

// same compares what arrived with what was sent, as far as both know it.
func (t *sending) same(have api.Image) error {
	img := t.content.Image
	switch {
	case t.exact && have.Size >= 0 && have.Size != img.Size,
		have.VirtualSize >= 0 && img.VirtualSize >= 0 && have.VirtualSize != img.VirtualSize,
		img.HashAlgo == have.HashAlgo && img.HashValue != "" && have.HashValue != "" && img.HashValue != have.HashValue:
		return kuva.E(kuva.CodeConflict, "region.other", "peer", t.name, "status", have.Status)
	}
	return nil
}

// failed says what went wrong there, and whether another attempt may help.
func (s *Service) failed(ctx context.Context, peer string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var coded *kuva.Error
	if errors.As(err, &coded) {
		if coded.Code == kuva.CodeUnavailable {
			return job.Retry(err)
		}
		return err
	}
	var said *client.Error
	if errors.As(err, &said) && said.Status/100 == 4 && said.Status != 408 && said.Status != 429 {
		return kuva.E(kuva.CodeConflict, "region.refused", "peer", peer, "status", said.Status, "reason", said.Text).Because(err)
	}
	s.cfg.Log.Warn("send to a peer", "peer", peer, "error", err)
	return job.Retry(kuva.E(kuva.CodeUnavailable, "region.unreachable", "peer", peer).Because(err))
}
