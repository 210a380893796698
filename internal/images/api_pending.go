package images

import (
	"context"
	"errors"
	"io"

	"kuva"
	"kuva/internal/audit"
)

var errPending = errors.New("not written yet")

// Start recovers what a crash left and begins the background work: cards,
// read counts, interrupted uploads, daily usage. Close ends it.
func (s *Service) Start(ctx context.Context) error { return errPending }

// Close ends the background work and writes what is batched.
func (s *Service) Close(ctx context.Context) error { return errPending }

// Create makes an image record.
func (s *Service) Create(ctx context.Context, p kuva.Principal, n NewImage) (*kuva.Image, error) {
	return nil, errPending
}

// Show returns one image.
func (s *Service) Show(ctx context.Context, p kuva.Principal, id string) (*kuva.Image, error) {
	return nil, errPending
}

// List returns a page of images. A full page may have a successor.
func (s *Service) List(ctx context.Context, p kuva.Principal, q Query) ([]*kuva.Image, error) {
	return nil, errPending
}

// Update applies all changes or none.
func (s *Service) Update(ctx context.Context, p kuva.Principal, id string, changes []Change) (*kuva.Image, error) {
	return nil, errPending
}

// AddTag adds a tag; it may be there already.
func (s *Service) AddTag(ctx context.Context, p kuva.Principal, id, tag string) error {
	return errPending
}

// RemoveTag removes a tag, CodeNotFound if it is not there.
func (s *Service) RemoveTag(ctx context.Context, p kuva.Principal, id, tag string) error {
	return errPending
}

// Members lists the members of an image that p may see.
func (s *Service) Members(ctx context.Context, p kuva.Principal, id string) ([]kuva.Member, error) {
	return nil, errPending
}

// Member returns one member.
func (s *Service) Member(ctx context.Context, p kuva.Principal, id, project string) (*kuva.Member, error) {
	return nil, errPending
}

// AddMember offers the image to a project.
func (s *Service) AddMember(ctx context.Context, p kuva.Principal, id, project string) (*kuva.Member, error) {
	return nil, errPending
}

// SetMember is the answer of the project that the image was offered to.
func (s *Service) SetMember(ctx context.Context, p kuva.Principal, id, project string, status kuva.MemberStatus) (*kuva.Member, error) {
	return nil, errPending
}

// RemoveMember ends the sharing with a project.
func (s *Service) RemoveMember(ctx context.Context, p kuva.Principal, id, project string) error {
	return errPending
}

// Ingest fills a queued image from src and activates it.
func (s *Service) Ingest(ctx context.Context, p kuva.Principal, id string, src Source) (*kuva.Image, error) {
	return nil, errPending
}

// Download opens the content of an image. Its Content has no bytes (HasData
// is false) while the image is queued.
func (s *Service) Download(ctx context.Context, p kuva.Principal, id string) (*Content, error) {
	return nil, errPending
}

// HasData reports whether the image has bytes at all.
func (c *Content) HasData() bool { return false }

// Reader reads n bytes from off, every byte verified. It counts as one read
// of the image.
func (c *Content) Reader(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	return nil, errPending
}

// Close ends the use of the content.
func (c *Content) Close() error { return nil }

// Deactivate stops downloads by everybody but admins.
func (s *Service) Deactivate(ctx context.Context, p kuva.Principal, id string) error {
	return errPending
}

// Reactivate ends Deactivate.
func (s *Service) Reactivate(ctx context.Context, p kuva.Principal, id string) error {
	return errPending
}

// Delete deletes an image in any state.
func (s *Service) Delete(ctx context.Context, p kuva.Principal, id string) error {
	return errPending
}

// Quota returns the limits of a project and what it holds.
func (s *Service) Quota(ctx context.Context, p kuva.Principal, project string) (kuva.Quota, QuotaUse, error) {
	return kuva.Quota{}, QuotaUse{}, errPending
}

// SetQuota sets limits of a project by name (images, bytes, image_size,
// virtual_size, members, tags, properties, uploads); nil takes a limit back to
// the site's default. Admins only.
func (s *Service) SetQuota(ctx context.Context, p kuva.Principal, project string, limits map[string]*int64) error {
	return errPending
}

// Usage returns what a project keeps, a day each from first to last
// (2026-11-21, inclusive), today's live.
func (s *Service) Usage(ctx context.Context, p kuva.Principal, project, first, last string) ([]UsageDay, error) {
	return nil, errPending
}

// Activity returns what was done to an image, newest first, at most limit
// entries older than the entry before (0 at the start).
func (s *Service) Activity(ctx context.Context, p kuva.Principal, id string, before int64, limit int) ([]audit.Entry, error) {
	return nil, errPending
}
