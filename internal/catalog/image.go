package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kuva"
)

// Errors of image metadata.
var (
	// ErrNoImage: there is no row with this id.
	ErrNoImage = errors.New("no such image")
	// ErrImageExists: the id is taken, maybe by an image that was deleted.
	ErrImageExists = errors.New("image id is taken")
)

// Image is one row of the table image: the record and what keeping it needs.
// Deleted images keep their row, so that their ids are never given again.
type Image struct {
	kuva.Image
	Realm       string    // project whose realm the object lies in, "" is the platform; means nothing without Object
	WasObject   int64     // of a deleted image: the object that it had, for its delete card
	Lease       int64     // of the upload under way, 0 if none
	CardVersion int64     // newest version whose card is durable
	DeletedAt   time.Time // zero while it lives
}

// Deleted reports whether the image was deleted.
func (m *Image) Deleted() bool { return !m.DeletedAt.IsZero() }

// Copy returns a copy of m that shares nothing with it.
func (m *Image) Copy() *Image {
	c := *m
	c.Tags = slices.Clone(m.Tags)
	c.Properties = make(map[string]string, len(m.Properties))
	for k, v := range m.Properties {
		c.Properties[k] = v
	}
	if m.LastFailure != nil {
		f := *m.LastFailure
		c.LastFailure = &f
	}
	return &c
}

// Work lists, each over an index of its own.
const (
	imagesWithoutCard = `SELECT id FROM image WHERE card_version < version AND id > $1 ORDER BY id LIMIT $2`
	imagesWithLease   = `SELECT id FROM image WHERE lease <> 0 AND id > $1 ORDER BY id LIMIT $2`
)

// imageColumns in the order of scanImage and of InsertImage's arguments.
const imageColumns = `id, name, owner, status, visibility, disk_format, container_format, protected, hidden, min_disk, min_ram,
	size, virtual_size, md5, hash_algo, hash_value, object, realm, was_object, origin, base_image, instance_uuid, failure, tags, properties,
	lease, version, card_version, created_at, updated_at, deleted_at, read_at, reads, recovered`

type scanner interface{ Scan(dest ...any) error }

func scanImage(row scanner) (*Image, error) {
	var m Image
	var failure, tags, properties string
	var created, updated, deleted, read int64
	err := row.Scan(&m.ID, &m.Name, &m.Owner, &m.Status, &m.Visibility, &m.DiskFormat, &m.ContainerFormat, &m.Protected, &m.Hidden,
		&m.MinDisk, &m.MinRAM, &m.Size, &m.VirtualSize, &m.MD5, &m.HashAlgo, &m.HashValue, &m.Object, &m.Realm, &m.WasObject, &m.Origin,
		&m.BaseImage, &m.InstanceUUID, &failure, &tags, &properties, &m.Lease, &m.Version, &m.CardVersion,
		&created, &updated, &deleted, &read, &m.Reads, &m.Recovered)
	if err != nil {
		return nil, err
	}
	m.CreatedAt, m.UpdatedAt, m.DeletedAt, m.ReadAt = fromMicro(created), fromMicro(updated), fromMicro(deleted), fromMicro(read)
	m.Properties = map[string]string{}
	if tags != "[]" {
		err = json.Unmarshal([]byte(tags), &m.Tags)
	}
	if err == nil && properties != "{}" {
		err = json.Unmarshal([]byte(properties), &m.Properties)
	}
	if err == nil && failure != "" {
		m.LastFailure = new(kuva.Failure)
		err = json.Unmarshal([]byte(failure), m.LastFailure)
	}
	if err != nil {
		return nil, fmt.Errorf("row of image %s: %w", m.ID, err)
	}
	return &m, nil
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func toMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// texts are the columns that hold JSON.
func (m *Image) texts() (failure, tags, properties string, err error) {
	failure, tags, properties = "", "[]", "{}"
	var b []byte
	if m.LastFailure != nil {
		if b, err = json.Marshal(m.LastFailure); err != nil {
			return
		}
		failure = string(b)
	}
	if len(m.Tags) > 0 {
		if b, err = json.Marshal(m.Tags); err != nil {
			return
		}
		tags = string(b)
	}
	if len(m.Properties) > 0 {
		if b, err = json.Marshal(m.Properties); err != nil {
			return
		}
		properties = string(b)
	}
	return
}

// InsertImage makes the row of an image with its tags and properties.
// ErrImageExists if the id is taken.
func InsertImage(ctx context.Context, tx *Tx, m *Image) error {
	failure, tags, properties, err := m.texts()
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO image (`+imageColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
		$15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34) ON CONFLICT (id) DO NOTHING`,
		m.ID, m.Name, m.Owner, string(m.Status), string(m.Visibility), m.DiskFormat, m.ContainerFormat, m.Protected, m.Hidden,
		m.MinDisk, m.MinRAM, m.Size, m.VirtualSize, m.MD5, m.HashAlgo, m.HashValue, m.Object, m.Realm, m.WasObject, string(m.Origin),
		m.BaseImage, m.InstanceUUID, failure, tags, properties, m.Lease, m.Version, m.CardVersion,
		toMicro(m.CreatedAt), toMicro(m.UpdatedAt), toMicro(m.DeletedAt), toMicro(m.ReadAt), m.Reads, m.Recovered)
	if err != nil {
		return fmt.Errorf("insert image %s: %w", m.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("insert image %s: %w", m.ID, ErrImageExists)
	}
	return setTagsAndProperties(ctx, tx, &Image{Image: kuva.Image{ID: m.ID}}, m)
}

// GetImage returns the row of an image, deleted or not. ErrNoImage if there
// is none.
func GetImage(ctx context.Context, tx *Tx, id string) (*Image, error) {
	return oneImage(tx.QueryRow(ctx, `SELECT `+imageColumns+` FROM image WHERE id = $1`, id), id)
}

// LockImage is GetImage for a row that the transaction is going to change:
// nobody else changes it before the transaction ends.
func LockImage(ctx context.Context, tx *Tx, id string) (*Image, error) {
	return oneImage(tx.QueryRow(ctx, `SELECT `+imageColumns+` FROM image WHERE id = $1`+tx.Dialect().ForUpdate(), id), id)
}

func oneImage(row *sql.Row, id string) (*Image, error) {
	m, err := scanImage(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("image %s: %w", id, ErrNoImage)
	}
	return m, classify(err)
}

// UpdateImage writes what differs between a locked row and what it is to be.
// The id, the creation time, the card's version and the counters of reads stay
// as they are.
func UpdateImage(ctx context.Context, tx *Tx, was, now *Image) error {
	failure, tags, properties, err := now.texts()
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE image SET name = $2, owner = $3, status = $4, visibility = $5, disk_format = $6, container_format = $7,
		protected = $8, hidden = $9, min_disk = $10, min_ram = $11, size = $12, virtual_size = $13, md5 = $14, hash_algo = $15,
		hash_value = $16, object = $17, realm = $18, origin = $19, base_image = $20, instance_uuid = $21, failure = $22, tags = $23,
		properties = $24, lease = $25, version = $26, updated_at = $27, deleted_at = $28, recovered = $29, was_object = $30 WHERE id = $1`,
		now.ID, now.Name, now.Owner, string(now.Status), string(now.Visibility), now.DiskFormat, now.ContainerFormat, now.Protected,
		now.Hidden, now.MinDisk, now.MinRAM, now.Size, now.VirtualSize, now.MD5, now.HashAlgo, now.HashValue, now.Object, now.Realm,
		string(now.Origin), now.BaseImage, now.InstanceUUID, failure, tags, properties, now.Lease, now.Version,
		toMicro(now.UpdatedAt), toMicro(now.DeletedAt), now.Recovered, now.WasObject)
	if err != nil {
		return fmt.Errorf("update image %s: %w", now.ID, err)
	}
	if n != 1 {
		return fmt.Errorf("update image %s: %w", now.ID, ErrNoImage)
	}
	return setTagsAndProperties(ctx, tx, was, now)
}

// setTagsAndProperties keeps the tables that filters look at in step with the
// JSON in the row. A deleted image has no rows there.
func setTagsAndProperties(ctx context.Context, tx *Tx, was, now *Image) error {
	newTags, newProperties := now.Tags, now.Properties
	if now.Deleted() {
		newTags, newProperties = nil, nil
	}
	for _, t := range was.Tags {
		if slices.Contains(newTags, t) {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM image_tag WHERE tag = $1 AND image = $2`, t, now.ID); err != nil {
			return fmt.Errorf("tags of image %s: %w", now.ID, err)
		}
	}
	for _, t := range newTags {
		if slices.Contains(was.Tags, t) {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO image_tag (tag, image) VALUES ($1, $2)`, t, now.ID); err != nil {
			return fmt.Errorf("tags of image %s: %w", now.ID, err)
		}
	}
	for name := range was.Properties {
		if _, stays := newProperties[name]; stays {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM image_property WHERE image = $1 AND name = $2`, now.ID, name); err != nil {
			return fmt.Errorf("properties of image %s: %w", now.ID, err)
		}
	}
	for name, value := range newProperties {
		if old, there := was.Properties[name]; there && old == value {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO image_property (image, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (image, name) DO UPDATE SET value = excluded.value`, now.ID, name, value); err != nil {
			return fmt.Errorf("properties of image %s: %w", now.ID, err)
		}
	}
	return nil
}

// AddReads adds to an image's count of reads and moves the time of the last
// one forward.
func AddReads(ctx context.Context, tx *Tx, id string, n int64, last time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE image SET reads = reads + $2, read_at = CASE WHEN read_at < $3 THEN $3 ELSE read_at END
		WHERE id = $1 AND deleted_at = 0`, id, n, last.UnixMicro())
	return err
}

// SetCardVersion records that the card of a version is durable. An older
// version than the one recorded changes nothing.
func SetCardVersion(ctx context.Context, tx *Tx, id string, version int64) error {
	_, err := tx.Exec(ctx, `UPDATE image SET card_version = $2 WHERE id = $1 AND card_version < $2`, id, version)
	return err
}

// ImagesWithoutCard lists ids of at most limit images, after the id given,
// whose newest version has no durable card yet; deleted ones as well.
func ImagesWithoutCard(ctx context.Context, tx *Tx, after string, limit int) ([]string, error) {
	return imageIDs(ctx, tx, imagesWithoutCard, after, limit)
}

// ImagesWithLease lists ids of at most limit images with an upload under way,
// after the id given.
func ImagesWithLease(ctx context.Context, tx *Tx, after string, limit int) ([]string, error) {
	return imageIDs(ctx, tx, imagesWithLease, after, limit)
}

func imageIDs(ctx context.Context, tx *Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, classify(err)
		}
		ids = append(ids, id)
	}
	return ids, classify(rows.Err())
}
