package depot

import (
	"errors"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// reserveReleaser and reserveRefiller are powers of stores that hold space
// back, so that deletes and the collector work on a full disk.
type (
	reserveReleaser interface{ ReleaseReserve() error }
	reserveRefiller interface{ RefillReserve() error }
)

// power finds an optional interface of a store or of what it wraps.
func power[T any](s blob.Store) (T, bool) {
	for {
		if p, ok := s.(T); ok {
			return p, true
		}
		u, ok := s.(interface{ Unwrap() blob.Store })
		if !ok {
			var none T
			return none, false
		}
		s = u.Unwrap()
	}
}

// InReserve runs f, and where database or store are full once more in the room
// of the store's reserve. It is for what makes room in the end: deleting
// images, collecting. Until the collector has the reserve back, Create refuses
// with blob.ErrFull, so that uploads do not eat it.
func (d *Depot) InReserve(f func() error) error {
	err := f()
	if !errors.Is(err, catalog.ErrFull) && !errors.Is(err, blob.ErrFull) {
		return err
	}
	r, ok := power[reserveReleaser](d.store)
	if !ok {
		return err
	}
	d.keep.spent.Store(true)
	if relErr := r.ReleaseReserve(); relErr != nil {
		return errors.Join(err, relErr)
	}
	return f()
}

// roomToWrite refuses uploads while the reserve is spent.
func (d *Depot) roomToWrite() error {
	if d.keep.spent.Load() {
		return blob.ErrFull
	}
	return nil
}

// refillReserve takes the reserve back; the next cycle tries again if there
// is no room for it yet.
func (d *Depot) refillReserve() {
	r, ok := power[reserveRefiller](d.store)
	if !ok {
		return
	}
	if err := r.RefillReserve(); err != nil {
		d.log.Warn("refill the store's reserve", "error", err)
		return
	}
	d.keep.spent.Store(false)
}
