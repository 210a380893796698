package identity

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"kuva"
)

const (
	// trust is how long a checked token is believed without asking the
	// database. Together with the time that a load takes it keeps the promise
	// that a revocation on another node counts within 5 s.
	trust     = 4 * time.Second
	shards    = 16
	shardSize = 4096 // entries: 65,536 tokens in all, some 30 MiB when full
)

type digest = [sha256.Size]byte

// known is one token as the database described it. It never changes.
type known struct {
	principal       kuva.Principal
	issued, expires int64         // microseconds by the wall clock
	dies            time.Duration // monotonic: the token ends here, whatever the wall clock says
	fresh           time.Duration // monotonic: until here it is believed
	changes         uint64        // the service's counter when the load began
}

// cache remembers checked tokens by their digest.
type cache struct {
	dropped atomic.Uint64 // counts revocations of single tokens
	shard   [shards]struct {
		sync.RWMutex
		m map[digest]*known
	}
}

func (c *cache) get(d digest) *known {
	s := &c.shard[d[0]%shards]
	s.RLock()
	defer s.RUnlock()
	return s.m[d]
}

// put remembers k, unless a token was revoked since the load began: the load
// may not have seen that. An older entry's end of life is kept, so that a
// token does not gain any by being loaded again under a stopped wall clock.
func (c *cache) put(d digest, k *known, dropped uint64, now time.Duration) (ends time.Duration) {
	s := &c.shard[d[0]%shards]
	s.Lock()
	defer s.Unlock()
	if old := s.m[d]; old != nil {
		k.dies = min(k.dies, old.dies)
	}
	if c.dropped.Load() != dropped {
		return k.dies
	}
	if s.m == nil {
		s.m = make(map[digest]*known)
	}
	if _, there := s.m[d]; !there && len(s.m) >= shardSize {
		makeRoom(s.m, now)
	}
	s.m[d] = k
	return k.dies
}

// makeRoom drops dead entries among some looked at, else one at random.
func makeRoom(m map[digest]*known, now time.Duration) {
	seen, victim, found := 0, digest{}, false
	for d, k := range m {
		if now >= k.dies {
			delete(m, d)
		} else {
			victim, found = d, true
		}
		if seen++; seen >= 32 {
			break
		}
	}
	if len(m) >= shardSize && found {
		delete(m, victim)
	}
}

// drop makes the cache forget that d was valid. Loads under way will not
// bring it back.
func (c *cache) drop(d digest) {
	c.dropped.Add(1)
	s := &c.shard[d[0]%shards]
	s.Lock()
	defer s.Unlock()
	if old := s.m[d]; old != nil {
		k := *old
		k.fresh = 0
		s.m[d] = &k
	}
}
