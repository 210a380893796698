package regf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/regf"
	"kuva/guest/regf/regftest"
)

// maker puts cells together to a hive.
type maker struct{ bins []byte }

// cell adds one and gives its offset.
func (m *maker) cell(b []byte) uint32 {
	if len(m.bins) == 0 {
		m.bins = append(m.bins, make([]byte, 32)...)
	}
	off := len(m.bins)
	size := (4 + len(b) + 7) &^ 7
	m.bins = binary.LittleEndian.AppendUint32(m.bins, uint32(-int32(size)))
	m.bins = append(m.bins, b...)
	m.bins = append(m.bins, make([]byte, size-4-len(b))...)
	return uint32(off)
}

func (m *maker) set32(off uint32, at int, v uint32) {
	binary.LittleEndian.PutUint32(m.bins[int(off)+4+at:], v)
}

// key adds a key; list and values say where these are, with their counts.
func (m *maker) key(name string, keys, list, values, valueList uint32) uint32 {
	b := make([]byte, 76, 76+len(name))
	copy(b, "nk")
	b[2] = 0x20
	for at, v := range map[int]uint32{20: keys, 28: list, 36: values, 40: valueList, 48: none} {
		binary.LittleEndian.PutUint32(b[at:], v)
	}
	binary.LittleEndian.PutUint16(b[72:], uint16(len(name)))
	return m.cell(append(b, name...))
}

func (m *maker) value(name string, typ, size, data uint32) uint32 {
	b := make([]byte, 20, 20+len(name))
	copy(b, "vk")
	binary.LittleEndian.PutUint16(b[2:], uint16(len(name)))
	binary.LittleEndian.PutUint32(b[4:], size)
	binary.LittleEndian.PutUint32(b[8:], data)
	binary.LittleEndian.PutUint32(b[12:], typ)
	b[16] = 1
	return m.cell(append(b, name...))
}

func (m *maker) list(kind string, n uint16, words ...uint32) uint32 {
	b := binary.LittleEndian.AppendUint16([]byte(kind), n)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return m.cell(b)
}

func (m *maker) words(words ...uint32) uint32 {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return m.cell(b)
}

func (m *maker) hive(root uint32) []byte {
	m.bins = append(m.bins, make([]byte, -len(m.bins)&4095)...)
	b := append(bytes.Clone(regftest.Minimal()[:4096]), m.bins...)
	binary.LittleEndian.PutUint32(b[36:], root)
	binary.LittleEndian.PutUint32(b[40:], uint32(len(m.bins)))
	regftest.Seal(b)
	return b
}

const none = 0xffffffff

// TestS168 reads hives that lie: lists that hold themselves, cells that do,
// counts that do not fit. Each ends, within bounds, with an error that says
// what is wrong.
func TestS168(t *testing.T) {
	for _, tt := range []struct {
		name, want string // a part of the error
		make       func(m *maker) (root uint32)
	}{
		{"list of lists in itself", "list of lists of lists", func(m *maker) uint32 {
			ri := m.list("ri", 2, 0, 0)
			m.set32(ri, 4, ri)
			m.set32(ri, 8, ri)
			return m.key("r", 1, ri, 0, none)
		}},
		{"key below itself", "below itself", func(m *maker) uint32 {
			li := m.list("li", 2, 0, 0)
			root := m.key("r", 2, li, 0, none)
			m.set32(li, 4, root)
			m.set32(li, 8, root)
			return root
		}},
		{"two keys below each other", "below itself", func(m *maker) uint32 {
			a := m.list("lf", 1, 0, 0)
			b := m.list("lh", 1, 0, 0)
			ka, kb := m.key("a", 1, b, 0, none), m.key("b", 1, a, 0, none)
			m.set32(a, 4, ka)
			m.set32(b, 4, kb)
			return ka
		}},
		{"keys that double at every level", "over the limit", func(m *maker) uint32 {
			k := m.key("end", 0, none, 0, none)
			for range 200 {
				k = m.key("k", 2, m.list("li", 2, k, k), 0, none)
			}
			return k
		}},
		{"600 levels", "deeper than 512", func(m *maker) uint32 {
			k := m.key("end", 0, none, 0, none)
			for range 600 {
				k = m.key("k", 1, m.list("li", 1, k), 0, none)
			}
			return k
		}},
		{"2^31 values", "bytes", func(m *maker) uint32 {
			return m.key("r", 0, none, 1<<31, m.words(0))
		}},
		{"more values than the list holds", "bytes", func(m *maker) uint32 {
			return m.key("r", 0, none, 100, m.words(1, 2, 3))
		}},
		{"more keys than the list holds", "more lines than fit", func(m *maker) uint32 {
			return m.key("r", 60000, m.list("lh", 60000), 0, none)
		}},
		{"the same key 65,535 times", "room for keys", func(m *maker) uint32 {
			k := m.key("k", 0, none, 0, none)
			same := make([]uint32, 20000)
			for i := range same {
				same[i] = k
			}
			li := m.list("li", 20000, same...)
			for i := range same {
				same[i] = li
			}
			return m.key("r", 1, m.list("ri", 20000, same...), 0, none)
		}},
		{"list of an unknown kind", "list of kind", func(m *maker) uint32 {
			return m.key("r", 1, m.list("xx", 1, 0), 0, none)
		}},
		{"list outside", "needs", func(m *maker) uint32 { return m.key("r", 1, 0x7ffffff8, 0, none) }},
		{"offset that is not aligned", "multiple of 8", func(m *maker) uint32 { return m.key("r", 1, 0x21, 0, none) }},
		{"root inside itself", "is free", func(m *maker) uint32 { return m.key("r", 0, none, 0, none) + 8 }},
		{"free cell", "is free", func(m *maker) uint32 {
			k := m.key("r", 0, none, 0, none)
			binary.LittleEndian.PutUint32(m.bins[k:], 80)
			return k
		}},
		{"cell beyond the end", "has 2147483640 bytes", func(m *maker) uint32 {
			k := m.key("r", 0, none, 0, none)
			binary.LittleEndian.PutUint32(m.bins[k:], 0x80000004)
			return k
		}},
		{"name longer than its cell", "name of 65535 bytes", func(m *maker) uint32 {
			k := m.key("r", 0, none, 0, none)
			m.bins[k+4+72], m.bins[k+4+73] = 0xff, 0xff
			return k
		}},
		{"value whose data are itself", "", func(m *maker) uint32 {
			v := m.value("v", 3, 16, 0)
			m.set32(v, 8, v)
			return m.key("r", 0, none, 1, m.words(v))
		}},
		{"value of 2 GiB", "limit is 16777216", func(m *maker) uint32 {
			return m.key("r", 0, none, 1, m.words(m.value("v", 3, 0x7fffffff, 0x20)))
		}},
		{"value of 16 MiB in a small hive", "in a file of", func(m *maker) uint32 {
			return m.key("r", 0, none, 1, m.words(m.value("v", 3, 16<<20, 0x20)))
		}},
		{"five bytes in four", "5 bytes in 4", func(m *maker) uint32 {
			return m.key("r", 0, none, 1, m.words(m.value("v", 3, 5|1<<31, 0)))
		}},
		{"segments that are themselves", "malformed", func(m *maker) uint32 {
			db := m.list("db", 2, 0)
			m.set32(db, 4, db)
			return m.key("r", 0, none, 1, m.words(m.value("v", 3, 32000, db)))
		}},
		{"fewer segments than bytes", "2 segments", func(m *maker) uint32 {
			db := m.list("db", 2, 0)
			return m.key("r", 0, none, 1, m.words(m.value("v", 3, 40000, db)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m maker
			b := m.hive(tt.make(&m))
			guesttest.Bounded(t, func(*budget.Budget) {
				bud := budget.New(t.Context(), budget.Limits{Steps: 300_000})
				h, err := regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{Budget: bud})
				if err != nil {
					t.Fatal(err)
				}
				_, errs := list(h)
				if tt.want == "" {
					return
				}
				if len(errs) == 0 {
					t.Fatal("no error")
				}
				for _, err := range errs {
					if !guesttest.Sane(err) {
						t.Errorf("not an error of the format: %v", err)
					}
				}
				if err := errs[len(errs)-1]; !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				if _, _, memory := bud.Spent(); memory != 0 {
					t.Errorf("%d bytes of memory are still held", memory)
				}
			})
		})
	}
}

// A bad key does not hide its siblings, and a name is found beside it.
func TestBadNeighbour(t *testing.T) {
	var m maker
	good := m.key("good", 0, none, 0, none)
	v := m.value("v", 4, 4|1<<31, 7)
	root := m.key("r", 3, m.list("li", 3, 0x7ff8, good, 0x21), 2, m.words(0x7ff8, v))
	b := m.hive(root)
	h := open(t, b)
	lines, errs := list(h)
	if len(lines) != 3 || len(errs) != 3 {
		t.Errorf("%q, %v", lines, errs)
	}
	if _, err := h.Key("GOOD"); err != nil {
		t.Error(err)
	}
	var bad *disk.Malformed
	if _, err := h.Key("other"); !errors.As(err, &bad) {
		t.Errorf("a key that may be the broken one: %v", err)
	}
	k, _ := h.Root()
	if n, err := k.Uint("V"); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// Data of more than 16,344 bytes lie in segments; class names beside keys.
func TestBigData(t *testing.T) {
	var m maker
	data := make([]byte, 40000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	list := m.words(m.cell(data[:16344]), m.cell(data[16344:32688]), m.cell(data[32688:]))
	db := m.list("db", 3, list)
	v := m.value("big", 3, uint32(len(data)), db)
	direct := m.value("direct", 3, uint32(len(data)), m.cell(data))
	root := m.key("r", 0, none, 2, m.words(v, direct))
	class := m.cell([]byte("c\x00l\x00\xe4\x00"))
	m.set32(root, 48, class)
	m.bins[root+4+74] = 6
	k, err := open(t, m.hive(root)).Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"big", "direct"} {
		v, err := k.Value(name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := v.Bytes(); err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if c, err := k.Class(); c != "clä" || err != nil {
		t.Errorf("class %q, %v", c, err)
	}
}

// FuzzHive reads whatever there is to read of any bytes.
func FuzzHive(f *testing.F) {
	f.Add(regftest.Minimal(), []byte{})
	var m maker
	k := m.key("key", 0, none, 1, m.words(m.value("v", 7, 16, m.cell([]byte("a\x00b\x00\x00\x00c\x00\x00\x00")))))
	b := m.hive(m.key("root", 1, m.list("ri", 1, m.list("lh", 1, k, 1234)), 0, none))
	f.Add(b, newLog(b, 1, page{0, b[4096:]}))
	b[4] = 9
	f.Add(b, oldLog(b, 0))
	f.Fuzz(func(t *testing.T, b, log []byte) {
		h, err := openBounded(t, b, log)
		if err != nil {
			if !guesttest.Sane(err) {
				t.Error(err)
			}
			return
		}
		lines, errs := list(h)
		for _, err := range errs {
			if !guesttest.Sane(err) {
				t.Error(err)
			}
		}
		if len(lines) > 0 {
			_, _ = h.Key(fmt.Sprintf(`%s\x`, lines[0]))
		}
	})
}
