// Package lru keeps what was used last, for tables and decompressed blocks.
package lru

import (
	"container/list"
	"sync"
)

// Cache holds at most a fixed number of values. It is safe for concurrent
// use. Values are shared between callers, who must not change them.
type Cache[V any] struct {
	mu    sync.Mutex
	max   int
	order list.List // of *entry, last used first
	by    map[int64]*list.Element
}

type entry[V any] struct {
	key   int64
	value V
}

// New makes a cache of at most n values, n ≥ 1.
func New[V any](n int) *Cache[V] {
	return &Cache[V]{max: max(1, n), by: map[int64]*list.Element{}}
}

// Get gives the value of a key, calling load where it is not held. Several
// callers may load the same key at a time; errors are not kept.
func (c *Cache[V]) Get(key int64, load func() (V, error)) (V, error) {
	if v, ok := c.peek(key); ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.by[key]; ok {
		return e.Value.(*entry[V]).value, nil
	}
	c.by[key] = c.order.PushFront(&entry[V]{key, v})
	if c.order.Len() > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.by, last.Value.(*entry[V]).key)
	}
	return v, nil
}

func (c *Cache[V]) peek(key int64) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.by[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry[V]).value, true
}
