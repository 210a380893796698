package images

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// record is what a card says of an image. It holds exactly what a version
// fixes: two cards of one version are the same bytes, whoever writes them and
// when. What changes without a version (an upload under way, its failure,
// reads) is not in it.
type record struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	Owner           string            `json:"owner"`
	Status          kuva.Status       `json:"status"`
	Visibility      kuva.Visibility   `json:"visibility"`
	DiskFormat      string            `json:"disk_format"`
	ContainerFormat string            `json:"container_format"`
	Protected       bool              `json:"protected"`
	Hidden          bool              `json:"hidden"`
	MinDisk         int64             `json:"min_disk"`
	MinRAM          int64             `json:"min_ram"`
	Tags            []string          `json:"tags,omitempty"`
	Properties      map[string]string `json:"properties,omitempty"`
	Size            int64             `json:"size"`
	VirtualSize     int64             `json:"virtual_size"`
	MD5             string            `json:"md5"`
	HashAlgo        string            `json:"hash_algo"`
	HashValue       string            `json:"hash_value"`
	Realm           string            `json:"realm"`
	Origin          kuva.Origin       `json:"origin"`
	BaseImage       string            `json:"base_image"`
	InstanceUUID    string            `json:"instance_uuid"`
	Recovered       bool              `json:"recovered"`
	CreatedAt       int64             `json:"created_at"` // microseconds, like all times here
	UpdatedAt       int64             `json:"updated_at"`
	DeletedAt       int64             `json:"deleted_at"`
	Members         []recordMember    `json:"members,omitempty"`
}

type recordMember struct {
	Project   string            `json:"project"`
	Status    kuva.MemberStatus `json:"status"`
	CreatedAt int64             `json:"created_at"`
	UpdatedAt int64             `json:"updated_at"`
}

// cardOf makes the card of a row.
func cardOf(m *catalog.Image, members []kuva.Member) (depot.Card, error) {
	r := record{
		ID: m.ID, Name: m.Name, Owner: m.Owner, Status: m.Status, Visibility: m.Visibility, DiskFormat: m.DiskFormat,
		ContainerFormat: m.ContainerFormat, Protected: m.Protected, Hidden: m.Hidden, MinDisk: m.MinDisk, MinRAM: m.MinRAM,
		Tags: m.Tags, Properties: m.Properties, Size: m.Size, VirtualSize: m.VirtualSize, MD5: m.MD5, HashAlgo: m.HashAlgo,
		HashValue: m.HashValue, Realm: m.Realm, Origin: m.Origin, BaseImage: m.BaseImage, InstanceUUID: m.InstanceUUID,
		Recovered: m.Recovered, CreatedAt: micro(m.CreatedAt), UpdatedAt: micro(m.UpdatedAt), DeletedAt: micro(m.DeletedAt),
	}
	if m.Status.Busy() {
		r.Status = kuva.StatusQueued
	}
	for _, x := range members {
		r.Members = append(r.Members, recordMember{x.Project, x.Status, micro(x.CreatedAt), micro(x.UpdatedAt)})
	}
	b, err := json.Marshal(r)
	c := depot.Card{
		Image: m.ID, Project: m.Owner, Version: m.Version, Deleted: m.Deleted(), Object: m.Object, At: r.UpdatedAt, Record: b,
	}
	if c.Deleted {
		c.Object = m.WasObject
	}
	return c, err
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// putCard makes the card of an image as it is now durable. The change that
// wants it is committed already, so an error says that the change happened but
// may not be promised yet; the sweeper goes on with it.
func (s *Service) putCard(ctx context.Context, id string) error {
	// A caller that goes away now must not cost the others the card.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := s.writeCard(ctx, id); err != nil {
		return coded(ctx, err)
	}
	return nil
}

func (s *Service) writeCard(ctx context.Context, id string) error {
	var card depot.Card
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		m, err := catalog.GetImage(ctx, tx, id)
		if err != nil {
			return err
		}
		members, err := catalog.ListMembers(ctx, tx, id)
		if err != nil {
			return err
		}
		card, err = cardOf(m, members)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.depot.PutCard(ctx, card); err != nil {
		return err
	}
	s.mu.Lock()
	s.cards[id] = max(s.cards[id], card.Version)
	s.mu.Unlock()
	return nil
}

// sweepCards writes the cards that changes left to it, and those that a crash
// or a full store kept from being written.
func (s *Service) sweepCards(ctx context.Context) error {
	const batch = 500
	for after := ""; ; {
		var ids []string
		err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
			ids, err = catalog.ImagesWithoutCard(ctx, tx, after, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("images without card: %w", err)
		}
		for _, id := range ids {
			if err := s.writeCard(ctx, id); err != nil {
				return err
			}
		}
		if len(ids) > 0 {
			if err := s.flush(ctx); err != nil {
				return err
			}
			after = ids[len(ids)-1]
		}
		if len(ids) < batch {
			return nil
		}
	}
}
