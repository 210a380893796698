package imagev2

import (
	"maps"

	"kuva"
	"kuva/api"
	"kuva/message"
)

// The facts of this service that an image shows beside what the API has.
const (
	// propertyLastFailure is why the newest upload did not succeed: a
	// sentence, shown to the owner until an upload succeeds.
	propertyLastFailure = "kuva_last_failure"
	// propertyOrigin tells content that the owner did not send: snapshot or
	// copied. What was uploaded or imported is left without, because clients
	// that compare properties with what they set (Terraform) would try to
	// remove it at every run.
	propertyOrigin = "kuva_origin"
	// Clients wait for an import by these, which hold names of stores: those
	// that content is on its way to, and those that it did not get to. They are
	// there while an import goes on and after one that failed.
	propertyImporting    = "os_glance_importing_to_stores"
	propertyFailedImport = "os_glance_failed_import"
	// theStore is the name of the one store.
	theStore = "default"
)

// view is an image as p sees it, with sentences in a language.
func view(p kuva.Principal, img *kuva.Image, lang message.Language) api.Image {
	self := "/v2/images/" + img.ID
	return api.Image{
		ID: img.ID, Name: img.Name, Owner: img.Owner, Status: string(img.Status), Visibility: string(img.Visibility),
		Protected: img.Protected, Hidden: img.Hidden, DiskFormat: img.DiskFormat, ContainerFormat: img.ContainerFormat,
		MinDisk: img.MinDisk, MinRAM: img.MinRAM, Size: img.Size, VirtualSize: img.VirtualSize, Checksum: img.MD5,
		HashAlgo: img.HashAlgo, HashValue: img.HashValue, CreatedAt: img.CreatedAt, UpdatedAt: img.UpdatedAt,
		Tags: img.Tags, Self: self, File: self + "/file", Schema: "/v2/schemas/image",
		Properties: properties(p, img, lang),
	}
}

func properties(p kuva.Principal, img *kuva.Image, lang message.Language) map[string]string {
	facts := map[string]string{}
	if img.LastFailure != nil && (p.Admin || img.Owner != "" && img.Owner == p.ProjectID) {
		facts[propertyLastFailure] = message.Told(img.LastFailure.Sentence, lang)
	}
	switch {
	case img.Status == kuva.StatusImporting:
		facts[propertyImporting], facts[propertyFailedImport] = theStore, ""
	case img.LastFailure != nil && img.LastFailure.Import:
		facts[propertyImporting], facts[propertyFailedImport] = "", theStore
	}
	if img.Origin == kuva.OriginSnapshot || img.Origin == kuva.OriginCopied {
		facts[propertyOrigin] = string(img.Origin)
	}
	if len(facts) == 0 {
		return img.Properties
	}
	all := maps.Clone(img.Properties)
	if all == nil {
		return facts
	}
	maps.Copy(all, facts)
	return all
}

func memberView(m *kuva.Member) api.ImageMember {
	return api.ImageMember{
		MemberID: m.Project, ImageID: m.Image, Status: string(m.Status),
		CreatedAt: m.CreatedAt.UTC().Format(api.ImageTime), UpdatedAt: m.UpdatedAt.UTC().Format(api.ImageTime),
		Schema: "/v2/schemas/member",
	}
}
