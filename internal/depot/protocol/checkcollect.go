package protocol

import (
	"errors"
	"fmt"
)

// States as the ledger writes them; superseded is "current" there, and not its
// object's recipe.
const (
	packStateOpen      = "open"
	packStateSealed    = "sealed"
	packStateDraining  = "draining"
	recStateAnnounced  = "announced"
	recStateCurrent    = "current"
	recStateSuperseded = "superseded"
	stateCondemned     = "condemned"
	stateDeleted       = "deleted"
)

func (p *packRow) name() string {
	if p == nil {
		return "unknown"
	}
	return p.state
}

func (r *recipeRow) name() string {
	if r == nil {
		return "unknown"
	}
	return r.state
}

// next takes a row to the event's version.
func (i *imageRow) next(e Event) error {
	switch {
	case i == nil || i.deleted:
		return fmt.Errorf("image %s has no row, or is deleted", e.Image)
	case e.Version <= i.version:
		return fmt.Errorf("image %s stays at version %d", e.Image, i.version)
	}
	i.version = e.Version
	return nil
}

// image checks what users see: cards follow rows, answers follow cards, what
// was deleted stays so.
func (k *Checker) image(e Event) error {
	i := k.images[e.Image]
	if i == nil {
		if e.Kind != Update {
			return fmt.Errorf("image %s has no row", e.Image)
		}
		k.images[e.Image] = &imageRow{version: e.Version}
		return nil
	}
	switch e.Kind {
	case Update, Reuse, Delete:
		if err := i.next(e); err != nil {
			return err
		}
		if e.Kind == Delete {
			i.deleted, i.deletedIn = true, k.epoch
		}
		if e.Kind == Reuse {
			if k.objects[e.Object] == 0 {
				return fmt.Errorf("object %d is not live", e.Object)
			}
			i.object = e.Object
		}

	case PutCard:
		if e.Version > i.version {
			return fmt.Errorf("card precedes its row, which is at version %d", i.version)
		}
		if e.Deleted && !i.deleted {
			return errors.New("delete card of an image that lives")
		}
		if e.Deleted {
			i.deleteCard = max(i.deleteCard, e.Version)
		} else {
			i.card = max(i.card, e.Version)
		}

	case Ack:
		if max(i.card, i.deleteCard) < e.Version {
			return fmt.Errorf("2xx before the card of version %d: a rebuild knows %d", e.Version, max(i.card, i.deleteCard))
		}
		if i.deleted && e.Version == i.version && i.deleteCard < e.Version {
			return errors.New("2xx for a delete without a delete card")
		}

	case ReadFailed:
		if r, live := k.objects[i.object]; live && !i.deleted {
			return fmt.Errorf("a read failed, and recipe %d of the image is whole", r)
		}

	case DropCards:
		if !i.deleted || i.deletedIn >= e.Epoch || k.compared < e.Epoch {
			return fmt.Errorf("delete card dropped in epoch %d, and the image was deleted in epoch %d", e.Epoch, i.deletedIn)
		}
		for id, r := range k.recipes {
			if i.object != 0 && !k.used(i.object) && r.object == i.object && r.state != stateDeleted {
				return fmt.Errorf("delete card dropped, and recipe %d of the image is %s", id, r.state)
			}
		}
	}
	return nil
}

// collecting checks the collector's steps: nothing needed is condemned, and
// nothing is deleted before an epoch and a look at the cards have passed.
func (k *Checker) collecting(e Event) error {
	switch e.Kind {
	case Cycle:
		if e.Epoch != k.epoch+1 {
			return fmt.Errorf("epoch goes from %d to %d", k.epoch, e.Epoch)
		}
		k.epoch = e.Epoch

	case PutEpoch:
		if e.Epoch > k.epoch {
			return fmt.Errorf("blob of epoch %d before its transaction", e.Epoch)
		}
		if e.Epoch > k.stored+1 {
			return fmt.Errorf("blob of epoch %d is missing: a restored ledger would not see the later ones", k.stored+1)
		}
		k.stored = max(k.stored, e.Epoch)

	case Compared:
		if e.Epoch > k.stored {
			return fmt.Errorf("step 3 before the blob of epoch %d", e.Epoch)
		}
		k.compared = max(k.compared, e.Epoch)

	case ObjectDead:
		r, live := k.objects[e.Object]
		if !live {
			return fmt.Errorf("object %d is not live", e.Object)
		}
		if k.used(e.Object) || k.pins[e.Object] > 0 {
			return fmt.Errorf("object %d dies, and an image or a pin has it", e.Object)
		}
		delete(k.objects, e.Object)
		row := k.recipes[r]
		k.refer(row, -1)
		row.state, row.epoch = stateCondemned, k.epoch

	case Pin:
		if k.objects[e.Object] == 0 {
			return fmt.Errorf("object %d is not live", e.Object)
		}
		k.pins[e.Object]++

	case Unpin:
		if k.pins[e.Object]--; k.pins[e.Object] < 0 {
			return fmt.Errorf("object %d has no pin", e.Object)
		}

	case Drain:
		if p := k.packs[e.Pack]; p == nil || p.state != packStateSealed {
			return fmt.Errorf("pack %d is %s, and only sealed ones may drain", e.Pack, p.name())
		}
		k.packs[e.Pack].state = packStateDraining

	case Condemn:
		return k.condemn(e)

	case DeletePack:
		if p := k.packs[e.Pack]; p == nil {
			return errors.New("delete of a pack that has no row: its writer may be about to make it")
		} else if err := k.deletable(e, p.state, p.epoch); err != nil {
			return err
		}
		k.packs[e.Pack].put = false

	case DeleteRoot:
		if r := k.recipes[e.Recipe]; r == nil {
			return errors.New("delete of a root that has no row: its writer may be about to make it")
		} else if err := k.deletable(e, r.state, r.epoch); err != nil {
			return err
		}
		k.recipes[e.Recipe].put = false

	case Deleted:
		if p := k.packs[e.Pack]; e.Pack != 0 && p != nil && p.state == stateCondemned {
			p.state = stateDeleted
			return nil
		}
		if r := k.recipes[e.Recipe]; e.Recipe != 0 && r != nil && r.state == stateCondemned {
			r.state = stateDeleted
			return nil
		}
		return errors.New("only what is condemned becomes deleted")
	}
	return nil
}

// condemn checks that nothing refers to what is condemned.
func (k *Checker) condemn(e Event) error {
	if e.Epoch > k.epoch {
		return fmt.Errorf("condemned in epoch %d, and the ledger is at %d", e.Epoch, k.epoch)
	}
	if e.Pack != 0 {
		p := k.packs[e.Pack]
		switch {
		case p == nil || p.state == stateCondemned || p.state == stateDeleted:
			return fmt.Errorf("pack %d is %s", e.Pack, p.name())
		case p.edges > 0:
			return fmt.Errorf("pack %d is condemned, and %d live objects refer to it", e.Pack, p.edges)
		case k.held(e.Pack):
			return fmt.Errorf("pack %d is condemned, and a live lease holds it", e.Pack)
		}
		p.state, p.epoch = stateCondemned, e.Epoch
		return nil
	}
	r := k.recipes[e.Recipe]
	switch {
	case r == nil || r.state == stateCondemned || r.state == stateDeleted:
		return fmt.Errorf("recipe %d is %s", e.Recipe, r.name())
	case k.objects[r.object] == e.Recipe:
		return fmt.Errorf("recipe %d is condemned, and it is the current one of a live object", e.Recipe)
	case r.state == recStateAnnounced && k.leases[r.lease].live:
		return fmt.Errorf("recipe %d is condemned, and its lease is live", e.Recipe)
	}
	r.state, r.epoch = stateCondemned, e.Epoch
	return nil
}

// deletable says whether a blob whose row has the state may be deleted by a
// cycle of e.Epoch.
func (k *Checker) deletable(e Event, state string, condemned int64) error {
	if state == stateDeleted {
		return nil // a late Put, found by the audit
	}
	if state != stateCondemned {
		return fmt.Errorf("deleted while its row is %s", state)
	}
	if condemned >= e.Epoch {
		return fmt.Errorf("condemned in epoch %d and deleted in epoch %d", condemned, e.Epoch)
	}
	if k.stored < e.Epoch || k.compared < e.Epoch {
		return fmt.Errorf("deleted in epoch %d before its blob was stored and the cards compared", e.Epoch)
	}
	return nil
}
