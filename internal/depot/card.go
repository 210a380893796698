package depot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"kuva/internal/blob"
)

// Card is what the store itself knows of one image at one version: enough to
// bring the image back when the database is lost. The card with the highest
// version counts, and one that says Deleted wins.
type Card struct {
	Image   string `json:"image"`
	Project string `json:"project"` // whose realm seals the card; "" is the platform
	Version int64  `json:"version"` // of the image row, above 0
	Deleted bool   `json:"deleted"`
	// Object is the image's content, 0 if it has none. A delete card names the
	// object that the image had: the card stays until that is collected.
	Object int64 `json:"object"`
	At     int64 `json:"at"` // microseconds since 1970, for people
	// Record is the image's row as its owner wrote it. [1 MiB]
	Record json.RawMessage `json:"record,omitempty"`
}

const (
	cardMagic  = "KUVACARD"
	maxCardLen = 2 << 20
)

// errCardDiffers: another card was stored under the same image and version.
var errCardDiffers = errors.New("another card has this version")

func (c *Card) check() error {
	if c.Image == "" || strings.ContainsAny(c.Image, "/.") || c.Version <= 0 || len(c.Record) > maxCardLen/2 {
		return fmt.Errorf("card of image %q at version %d: malformed", c.Image, c.Version)
	}
	return nil
}

// PutCard stores the card of an image as its row is now, sealed with the
// project's key. It is durable when nil returns, and older cards of the image
// are then removed; the collector removes those that this did not. To put the
// same card again does nothing. The caller commits the row first: a card never
// precedes its row (DEPOT-PROTOCOL: writing, steps 6 and 7).
func (d *Depot) PutCard(ctx context.Context, c Card) error {
	put := func() error { return d.putCard(ctx, c) }
	var err error
	if c.Deleted {
		err = d.InReserve(put) // a full store must not keep images from being deleted
	} else {
		err = put()
	}
	if err != nil {
		return fmt.Errorf("card of image %s at version %d: %w", c.Image, c.Version, err)
	}
	if err := d.at("card.put"); err != nil {
		return err
	}
	d.dropOldCards(ctx, c)
	return nil
}

func (d *Depot) putCard(ctx context.Context, c Card) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := d.ReadOnly(); err != nil {
		return err
	}
	r, err := d.realmOf(ctx, c.Project)
	if err != nil {
		return err
	}
	body, err := json.Marshal(&c)
	if err != nil {
		return err
	}
	key := cardKey(c.Image, c.Version)
	sealed, err := r.current.sealRecord(cardMagic, key, body)
	if err != nil {
		return err
	}
	err = blob.Put(ctx, d.store, key, sealed)
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	// An earlier try landed, ours or that of a job that does it again.
	there, err := d.readCard(ctx, key)
	if err != nil {
		return err
	}
	was, err := json.Marshal(&there)
	if err == nil && !sameCard(was, body) {
		err = errCardDiffers
	}
	return err
}

// sameCard compares two encoded cards but for when they were made: a job that
// does it again dates its card anew.
func sameCard(a, b []byte) bool {
	var x, y Card
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	x.At, y.At = 0, 0
	ax, errA := json.Marshal(&x)
	by, errB := json.Marshal(&y)
	return errA == nil && errB == nil && bytes.Equal(ax, by)
}

// dropOldCards removes what the card supersedes.
func (d *Depot) dropOldCards(ctx context.Context, c Card) {
	for info, err := range d.store.List(ctx, "card/"+c.Image+"/") {
		if err != nil {
			d.log.Debug("list older cards", "image", c.Image, "error", err)
			return
		}
		if _, v, ok := parseCardKey(info.Key); ok && v < c.Version {
			if err := d.store.Delete(ctx, info.Key); err != nil {
				d.log.Debug("delete older card", "key", info.Key, "error", err)
			}
		}
	}
}

// readCard reads and opens a card. blob.ErrNotFound comes through; anything
// that is not a card sealed for this very key is ErrDamaged.
func (d *Depot) readCard(ctx context.Context, key string) (Card, error) {
	_, c, err := readCardWith(ctx, d.store, key, d.keysOf)
	return c, err
}

// readCardWith also says which realm's key sealed the card.
func readCardWith(ctx context.Context, s blob.Store, key string, keysOf func(ctx context.Context, realm, keyID int64) (*realmKeys, error)) (int64, Card, error) {
	b, err := blob.Get(ctx, s, key, maxCardLen)
	if err != nil {
		return 0, Card{}, err
	}
	realm, keyID, err := recordKeys(cardMagic, b)
	if err != nil {
		return 0, Card{}, fmt.Errorf("%s: %w", key, err)
	}
	keys, err := keysOf(ctx, realm, keyID)
	if err != nil {
		return 0, Card{}, fmt.Errorf("%s: %w: %w", key, ErrDamaged, err)
	}
	body, err := keys.openRecord(cardMagic, key, b)
	if err != nil {
		return 0, Card{}, err
	}
	var c Card
	if err := json.Unmarshal(body, &c); err != nil {
		return 0, Card{}, fmt.Errorf("%s: %w: %w", key, ErrFormat, err)
	}
	if key != cardKey(c.Image, c.Version) {
		return 0, Card{}, fmt.Errorf("%s: %w: it is of image %q, version %d", key, ErrFormat, c.Image, c.Version)
	}
	return realm, c, nil
}

// parseCardKey takes a card's key apart.
func parseCardKey(key string) (image string, version int64, ok bool) {
	rest, ok := strings.CutPrefix(key, "card/")
	if !ok {
		return "", 0, false
	}
	image, digits, ok := strings.Cut(rest, "/")
	if !ok || image == "" {
		return "", 0, false
	}
	version, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || version <= 0 || cardKey(image, version) != key {
		return "", 0, false
	}
	return image, version, true
}

// imageCards are the cards of one image that a listing showed.
type imageCards struct {
	image  string
	newest int64
	older  []int64
}

// listCards yields the images that have cards, in the order of their ids. It
// reads no card.
func listCards(ctx context.Context, s blob.Store) iter.Seq2[imageCards, error] {
	return func(yield func(imageCards, error) bool) {
		var at imageCards
		for info, err := range s.List(ctx, "card/") {
			if err != nil {
				yield(imageCards{}, fmt.Errorf("list cards: %w", err))
				return
			}
			image, version, ok := parseCardKey(info.Key)
			if !ok {
				continue // not ours
			}
			if image != at.image {
				if at.image != "" && !yield(at, nil) {
					return
				}
				at = imageCards{image: image}
			}
			if at.newest != 0 {
				at.older = append(at.older, at.newest)
			}
			at.newest = version
		}
		if at.image != "" {
			yield(at, nil)
		}
	}
}
