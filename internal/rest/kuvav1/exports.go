package kuvav1

import (
	"net/http"
	"time"

	"kuva/api"
	"kuva/disk"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
	"kuva/internal/transfer/export"
	"kuva/message"
)

func (a *API) startExport(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body api.NewExport
	if err := rest.ReadJSON(r, &body, rest.KnownFields); err != nil {
		return err
	}
	x := export.Wanted{
		Image: r.PathValue("id"), Format: body.Format, View: images.ViewOptions{Compress: body.Compress, Settings: disk.Settings(body.Settings)},
		Overwrite: body.Overwrite, Sealed: body.Encryption, KeyID: body.KMSKey,
	}
	if body.Bucket != nil {
		at, keys := bucketOf(body.Bucket)
		x.Bucket, x.Keys = &at, keys
	}
	if s := body.Signed; s != nil {
		x.Signed = &export.Signed{Put: s.Put, Parts: s.Parts, Complete: s.Complete, Abort: s.Abort}
	}
	e, err := a.exports.Start(ctx, p, x)
	if err != nil {
		return err
	}
	w.Header().Set("Location", Prefix+"/exports/"+e.ID)
	rest.WriteJSON(w, http.StatusAccepted, wireExport(e, rest.LanguageOf(r)))
	return nil
}

func (a *API) imageExports(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := a.images.Show(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	return a.pageOfExports(w, r, r.PathValue("id"))
}

func (a *API) allExports(w http.ResponseWriter, r *http.Request) error {
	return a.pageOfExports(w, r, "")
}

func (a *API) pageOfExports(w http.ResponseWriter, r *http.Request, image string) error {
	ctx, p := who(r)
	q, err := parseQuery(r.URL.RawQuery, "project", "limit", "marker")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	list, err := a.exports.List(ctx, p, export.Query{Image: image, Project: q["project"], Marker: q["marker"], Limit: limit})
	if err != nil {
		return err
	}
	out := api.Exports{Exports: make([]api.Export, len(list))}
	for i, e := range list {
		out.Exports[i] = wireExport(e, rest.LanguageOf(r))
	}
	if len(list) == limit {
		out.Next = q.next(r, list[len(list)-1].ID)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) export(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	e, err := a.exports.Show(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, wireExport(e, rest.LanguageOf(r)))
	return nil
}

func (a *API) cancelExport(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	e, err := a.exports.Cancel(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusAccepted, wireExport(e, rest.LanguageOf(r)))
	return nil
}

func (a *API) buckets(w http.ResponseWriter, r *http.Request) error {
	_, p := who(r)
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	list, err := a.exports.Buckets(p)
	if err != nil {
		return err
	}
	out := api.Buckets{Buckets: make([]api.Bucket, len(list))}
	for i, b := range list {
		out.Buckets[i] = api.Bucket{Name: b.Name, Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Read: b.Read, Write: b.Write}
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (a *API) objects(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	q, err := parseLong(1024, r.URL.RawQuery, "prefix", "marker", "limit")
	if err != nil {
		return err
	}
	limit, err := q.limit()
	if err != nil {
		return err
	}
	list, more, err := a.exports.Objects(ctx, p, r.PathValue("name"), q["prefix"], q["marker"], limit)
	if err != nil {
		return err
	}
	out := api.ListedObjects{Objects: make([]api.ListedObject, len(list))}
	for i, o := range list {
		out.Objects[i] = api.ListedObject{Object: o.Key, Size: o.Size, ETag: o.ETag, ModifiedAt: o.ModifiedAt}
	}
	if more {
		out.Next = q.next(r, list[len(list)-1].Key)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

// importBucket is for content that lies in a bucket.
func (a *API) importBucket(r *http.Request, body *api.ImportImage) (job.Job, error) {
	at, keys := bucketOf(body.Bucket)
	in := images.BucketImport{At: at, Keys: keys, Plain: body.Plain, Digest: digestOf(body), Exact: body.Exact, Disk: body.Disk}
	ctx, p := who(r)
	return a.images.ImportBucket(ctx, p, r.PathValue("id"), in)
}

func bucketOf(b *api.BucketObject) (images.BucketObject, images.BucketKeys) {
	return images.BucketObject{Name: b.Name, Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Style: b.Style, Object: b.Object},
		images.BucketKeys{Access: b.Access, Secret: b.Secret, Session: b.Session}
}

func wireExport(e *export.Export, lang message.Language) api.Export {
	out := api.Export{
		ID: e.ID, Image: e.Image, Project: e.Project, User: e.User, Format: e.Format, Compressed: e.Compressed, Settings: orEmpty(e.Settings),
		Host: text(e.Target.Host), State: e.State, Cancelling: e.Cancelling, Attempt: e.Attempt, Size: known(e.Size), Done: e.Done, Sent: e.Sent,
		Message: e.Message, CreatedAt: e.CreatedAt, StartedAt: moment(e.StartedAt), EndedAt: moment(e.EndedAt),
	}
	if b := e.Target.Bucket; b != nil {
		out.Bucket = &api.BucketObject{Name: b.Name, Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Bucket, Style: b.Style, Object: b.Object}
	}
	if e.Code != "" {
		out.Failure = &api.JobFailure{Code: string(e.Code), Sentence: message.Told(e.Sentence, lang)}
	}
	if m := e.Manifest; m != nil {
		i := m.Image
		out.Manifest = &api.Manifest{
			Version: m.Kuva, Format: m.Format, Compressed: m.Compressed, Settings: orEmpty(m.Settings), Size: m.Size, SHA256: m.SHA256, ETag: m.ETag,
			Program: m.Program, MadeAt: m.MadeAt.UTC().Truncate(time.Microsecond),
			Image: api.ManifestImage{
				ID: i.ID, Name: i.Name, Project: i.Project, DiskFormat: i.DiskFormat, ContainerFormat: i.ContainerFormat, HashAlgo: i.HashAlgo,
				HashValue: i.HashValue, MinDisk: i.MinDisk, MinRAM: i.MinRAM, Tags: append([]string{}, i.Tags...), Properties: orEmpty(i.Properties),
			},
		}
	}
	return out
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
