package protocol

import (
	"errors"
	"fmt"
)

// writing checks the steps of writers and of the compactor, which writes like
// one: every transaction under a live lease, rows before Puts, roots after
// packs, commit and swap of what is whole.
func (k *Checker) writing(e Event) error {
	switch e.Kind {
	case Begin:
		if k.leases[e.Lease] != nil {
			return fmt.Errorf("lease %d begins again", e.Lease)
		}
		k.leases[e.Lease] = &lease{live: true, packs: map[int64]bool{}}
		if e.Recipe == 0 { // a compaction announces its recipes later
			return nil
		}
		return k.announceRecipe(e)

	case AnnounceRecipe:
		if err := k.live(e.Lease); err != nil {
			return err
		}
		return k.announceRecipe(e)

	case Touch:
		if err := k.live(e.Lease); err != nil {
			return err
		}
		p := k.packs[e.Pack]
		if p == nil || p.state != packStateSealed {
			return fmt.Errorf("pack %d is %s, and only sealed ones may be leased", e.Pack, p.name())
		}
		k.leases[e.Lease].packs[e.Pack] = true

	case Announce:
		if err := k.live(e.Lease); err != nil {
			return err
		}
		if k.packs[e.Pack] != nil {
			return fmt.Errorf("pack id %d is used again", e.Pack)
		}
		k.packs[e.Pack] = &packRow{state: packStateOpen}
		k.leases[e.Lease].packs[e.Pack] = true

	case PutPack:
		p := k.packs[e.Pack]
		if p == nil {
			return errors.New("bytes are stored before their row: nobody knows them")
		}
		if p.sum != "" && p.sum != e.Sum {
			return fmt.Errorf("key of pack %d is used for other bytes", e.Pack)
		}
		p.sum, p.put = e.Sum, true

	case Seal:
		if err := k.live(e.Lease); err != nil {
			return err
		}
		p := k.packs[e.Pack]
		if p == nil || p.state != packStateOpen || !p.put || !k.leases[e.Lease].packs[e.Pack] {
			return fmt.Errorf("pack %d is %s, and only open ones that are stored and leased may be sealed", e.Pack, p.name())
		}
		p.state = packStateSealed

	case PutRoot:
		return k.putRoot(e)

	case Commit, Swap:
		return k.makeCurrent(e)

	case Abort, Expire:
		if err := k.live(e.Lease); err != nil {
			return err
		}
		k.endLease(e.Lease)
	}
	return nil
}

func (k *Checker) announceRecipe(e Event) error {
	if k.recipes[e.Recipe] != nil {
		return fmt.Errorf("recipe id %d is used again", e.Recipe)
	}
	k.recipes[e.Recipe] = &recipeRow{object: e.Object, lease: e.Lease, state: recStateAnnounced}
	return nil
}

// putRoot checks that a root comes after its packs. The lease may be gone
// already (the Put does not ask), and with it the packs.
func (k *Checker) putRoot(e Event) error {
	r := k.recipes[e.Recipe]
	if r == nil {
		return errors.New("a root is stored before its row: nobody knows it")
	}
	if r.packs != nil && fmt.Sprint(r.packs) != fmt.Sprint(e.Packs) {
		return fmt.Errorf("key of recipe %d is used for other bytes", e.Recipe)
	}
	if l := k.leases[r.lease]; l.live {
		for _, p := range e.Packs {
			row := k.packs[p]
			if row == nil || row.state != packStateSealed && row.state != packStateDraining {
				return fmt.Errorf("root refers to pack %d, which is %s", p, row.name())
			}
			if !l.packs[p] {
				return fmt.Errorf("root refers to pack %d, which its lease does not hold", p)
			}
		}
	}
	r.packs, r.put = append([]int64{}, e.Packs...), true
	return nil
}

// makeCurrent checks commit and swap: the fence, and that what becomes current
// is whole.
func (k *Checker) makeCurrent(e Event) error {
	if err := k.live(e.Lease); err != nil {
		return err
	}
	r := k.recipes[e.Recipe]
	if r == nil || r.state != recStateAnnounced || !r.put || r.lease != e.Lease {
		return fmt.Errorf("recipe %d is %s, and only an announced one of this lease that is stored may become current", e.Recipe, r.name())
	}
	for _, p := range r.packs {
		row := k.packs[p]
		if row == nil || !row.put || row.state != packStateSealed && row.state != packStateDraining {
			return fmt.Errorf("pack %d of the recipe is %s, or not stored", p, row.name())
		}
		if !k.leases[e.Lease].packs[p] {
			return fmt.Errorf("pack %d of the recipe is not held by the lease", p)
		}
	}
	if e.Kind == Swap {
		old := k.recipes[e.Old]
		if old == nil || k.objects[r.object] != e.Old {
			return fmt.Errorf("recipe %d is not the current one of object %d, so it cannot be replaced", e.Old, r.object)
		}
		old.state = recStateSuperseded
		k.refer(old, -1)
	} else {
		if k.objects[r.object] != 0 {
			return fmt.Errorf("object %d is committed again", r.object)
		}
		if e.Image != "" {
			i := k.images[e.Image]
			if err := i.next(e); err != nil {
				return err
			}
			i.object = r.object
		}
		k.endLease(e.Lease)
	}
	r.state = recStateCurrent
	k.objects[r.object] = e.Recipe
	k.refer(r, 1)
	return nil
}

func (k *Checker) endLease(id int64) {
	k.leases[id].live = false
	k.leases[id].packs = nil
}
