package dir

import (
	"sync"
	"sync/atomic"
)

// commits are the keys that are being committed, one commit at a time for each,
// and those whose last commit left a name that it could not take back.
type commits struct {
	n    atomic.Int64 // so that readers seldom need the lock
	mu   sync.Mutex
	keys map[string]*commit
}

type commit struct {
	done   chan struct{} // closed when it ends; nil: it has ended badly
	hidden bool          // its name may be there without being durable
}

// hidden tells whether a key is to be hidden from readers although its name may be
// there.
func (h *commits) hidden(key string) bool {
	if h.n.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.keys[key]
	return c != nil && c.hidden
}

// begin begins a commit, after waiting for another one of the key. It tells whether
// the last one left a name.
func (h *commits) begin(key string) (leftover bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		c := h.keys[key]
		if c == nil {
			if h.keys == nil {
				h.keys = map[string]*commit{}
			}
			h.keys[key] = &commit{done: make(chan struct{})}
			h.n.Add(1)
			return false
		}
		if c.done == nil {
			c.done = make(chan struct{})
			return true
		}
		done := c.done
		h.mu.Unlock()
		<-done
		h.mu.Lock()
	}
}

// hide is called before a name is made.
func (h *commits) hide(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[key].hidden = true
}

// end ends a commit. If there is a name it is seen from then on, unless it is a
// leftover.
func (h *commits) end(key string, leftover bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.keys[key]
	close(c.done)
	if leftover {
		c.done, c.hidden = nil, true
		return
	}
	delete(h.keys, key)
	h.n.Add(-1)
}
