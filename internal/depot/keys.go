package depot

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// KeyService wraps the keys of realms. Every realm has a wrapping key of its
// own, so that destroying it erases the realm, copies in backups included.
// All methods may be called at the same time.
type KeyService interface {
	// Create makes a wrapping key and returns its name. It is durable then.
	Create(ctx context.Context) (name string, err error)
	// Wrap seals plain under the named key, bound to ad.
	Wrap(ctx context.Context, name string, plain, ad []byte) ([]byte, error)
	// Unwrap is the inverse of Wrap. ErrKeyGone if the key was destroyed or
	// never existed; another error where it fails its check.
	Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error)
	// Destroy removes the key for good.
	Destroy(ctx context.Context, name string) error
}

// ErrKeyGone means that a realm's wrapping key does not exist (any more).
var ErrKeyGone = errors.New("wrapping key does not exist")

// Realm kinds.
const (
	realmPlatform = "platform"
	realmProject  = "project"
)

// keyBlob is the content of key/<realm>/<key-id>/<wrap-no>. Without it a lost
// ledger would be a lost store.
type keyBlob struct {
	Realm       int64  `json:"realm"`
	Kind        string `json:"kind"`
	Project     string `json:"project"`
	KeyID       int64  `json:"key_id"`
	WrapNo      int64  `json:"wrap_no"`
	WrappingKey string `json:"wrapping_key"`
	Wrapped     []byte `json:"wrapped"` // name key 32, data key 32
}

// bound is what the wrapping is bound to, so that no wrapped key can be put
// in another realm's place.
func (k *keyBlob) bound() []byte {
	return fmt.Appendf(nil, "kuva realm %d %s %q key %d", k.Realm, k.Kind, k.Project, k.KeyID)
}

// realm is one realm with its keys, held for the life of the process.
type realm struct {
	id      int64
	kind    string
	project string
	current *realmKeys
}

// realms caches the realms that this node has used.
type realms struct {
	mu        sync.Mutex
	byProject map[string]*realm
	keys      map[[2]int64]*realmKeys
}

// realmOf returns the project's realm, made at first use; project "" is the
// platform.
func (d *Depot) realmOf(ctx context.Context, project string) (*realm, error) {
	d.realms.mu.Lock()
	defer d.realms.mu.Unlock()
	if r := d.realms.byProject[project]; r != nil {
		return r, nil
	}
	r, err := d.loadRealm(ctx, project)
	if errors.Is(err, errNoRealm) {
		if err := d.makeRealm(ctx, project); err != nil {
			return nil, fmt.Errorf("make realm of project %q: %w", project, err)
		}
		r, err = d.loadRealm(ctx, project)
	}
	if err != nil {
		return nil, fmt.Errorf("realm of project %q: %w", project, err)
	}
	d.realms.byProject[project] = r
	return r, nil
}

var (
	errNoRealm = errors.New("no such realm")
	errNoKey   = errors.New("no such key")
)

func (d *Depot) loadRealm(ctx context.Context, project string) (*realm, error) {
	r := &realm{project: project}
	var state, wrappingKey string
	var found []keyBlob
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		found = nil
		rows, err := tx.Query(ctx, `SELECT r.id, r.kind, r.state, r.wrapping_key, k.key_id, k.wrapped, k.wrap_no
			FROM realm r JOIN realm_key k ON k.realm = r.id WHERE r.project = $1 ORDER BY k.key_id`, project)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k keyBlob
			var wrapped string
			if err := rows.Scan(&r.id, &r.kind, &state, &wrappingKey, &k.KeyID, &wrapped, &k.WrapNo); err != nil {
				return err
			}
			if k.Wrapped, err = base64.StdEncoding.DecodeString(wrapped); err != nil {
				return fmt.Errorf("wrapped key: %w", err)
			}
			k.Realm, k.Kind, k.Project, k.WrappingKey = r.id, r.kind, project, wrappingKey
			found = append(found, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errNoRealm
	}
	if state != "active" {
		return nil, fmt.Errorf("realm is %s", state)
	}
	for _, k := range found {
		keys, err := d.unwrap(ctx, &k)
		if err != nil {
			return nil, err
		}
		d.realms.keys[[2]int64{r.id, k.KeyID}] = keys
		r.current = keys // the greatest key id is the current one
	}
	return r, nil
}

func (d *Depot) unwrap(ctx context.Context, k *keyBlob) (*realmKeys, error) {
	plain, err := d.keys.Unwrap(ctx, k.WrappingKey, k.Wrapped, k.bound())
	if err != nil {
		return nil, err
	}
	if len(plain) != 64 {
		return nil, fmt.Errorf("%w: wrapped key of %d bytes", ErrDamaged, len(plain))
	}
	return newRealmKeys(k.Realm, k.KeyID, [32]byte(plain[:32]), [32]byte(plain[32:]))
}

// makeRealm creates a realm: wrapping key, key blob, then rows. What a crash
// leaves in between is a wrapping key and a blob that nobody knows.
func (d *Depot) makeRealm(ctx context.Context, project string) error {
	k := keyBlob{Realm: catalog.NewID(), Kind: realmProject, Project: project, KeyID: 1, WrapNo: 1}
	if project == "" {
		k.Kind = realmPlatform
	}
	var err error
	if k.WrappingKey, err = d.keys.Create(ctx); err != nil {
		return err
	}
	secret := make([]byte, 64)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	if k.Wrapped, err = d.keys.Wrap(ctx, k.WrappingKey, secret, k.bound()); err != nil {
		return err
	}
	b, err := json.Marshal(&k)
	if err != nil {
		return err
	}
	if err := blob.Put(ctx, d.store, keyKey(k.Realm, k.KeyID, k.WrapNo), b); err != nil {
		return err
	}
	return d.db.Update(ctx, func(tx *catalog.Tx) error { return insertRealm(ctx, tx, &k) })
}

// insertRealm adds the realm's rows. Where another node was faster the realm
// of that node stands.
func insertRealm(ctx context.Context, tx *catalog.Tx, k *keyBlob) error {
	n, err := tx.Exec(ctx, `INSERT INTO realm (id, kind, project, state, wrapping_key) VALUES ($1, $2, $3, 'active', $4)
		ON CONFLICT DO NOTHING`, k.Realm, k.Kind, k.Project, k.WrappingKey)
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO realm_key (realm, key_id, wrapped, wrap_no, state) VALUES ($1, $2, $3, $4, 'current')`,
		k.Realm, k.KeyID, base64.StdEncoding.EncodeToString(k.Wrapped), k.WrapNo)
	return err
}

// keysOf returns the keys that a record or pack names. The realm must be
// known to the ledger.
func (d *Depot) keysOf(ctx context.Context, realmID, keyID int64) (*realmKeys, error) {
	id := [2]int64{realmID, keyID}
	d.realms.mu.Lock()
	k := d.realms.keys[id]
	d.realms.mu.Unlock()
	if k != nil {
		return k, nil
	}
	var project string
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT project FROM realm WHERE id = $1`, realmID).Scan(&project)
	})
	if err != nil {
		return nil, fmt.Errorf("realm %016x: %w", realmID, err)
	}
	if _, err := d.realmOf(ctx, project); err != nil {
		return nil, err
	}
	d.realms.mu.Lock()
	defer d.realms.mu.Unlock()
	if k = d.realms.keys[id]; k == nil {
		return nil, fmt.Errorf("realm %016x, key %d: %w", realmID, keyID, errNoKey)
	}
	return k, nil
}

// realmByID returns a realm that the ledger knows, with its current keys.
func (d *Depot) realmByID(ctx context.Context, id int64) (*realm, error) {
	var project string
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT project FROM realm WHERE id = $1`, id).Scan(&project)
	})
	if err != nil {
		return nil, fmt.Errorf("realm %016x: %w", id, err)
	}
	return d.realmOf(ctx, project)
}
