package catalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// SQLite's pages carry no checksums. This file puts a thin layer under
// SQLite's own file access (a VFS) which changes two functions of two kinds
// of file and leaves the rest, locks included, to SQLite:
//
//	database file   write: the page's last 8 bytes become its checksum
//	                read:  they are compared
//	write-ahead log read:  the page is compared with its frame's checksum
//
// The eight bytes are reserved in the header of every database made here, so
// SQLite never uses them, and any sqlite3 program can still read the file.
// One that writes it leaves pages whose checksum is wrong, which then cannot
// be read here: nobody else writes this file.
//
// A page that was never written is a hole of zeros and passes. SQLite does
// not read such pages as data.

// pageSize is the size of every page of databases made here, pageSpare the
// bytes at its end that SQLite leaves alone.
const (
	pageSize  = 4096
	pageSpare = 8
)

// checksumVFS is the name under which SQLite finds the layer.
const checksumVFS = "kuva"

type (
	openFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	readFunc  = func(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32
	writeFunc = readFunc
)

// registerChecksums makes the layer known to SQLite, once a process.
var registerChecksums = sync.OnceValue(func() error {
	tls := libc.NewTLS() // kept: SQLite keeps what is registered with it
	base := lib.Xsqlite3_vfs_find(tls, 0)
	if base == 0 {
		return fmt.Errorf("sqlite has no file access of its own")
	}
	name, err := libc.CString(checksumVFS)
	if err != nil {
		return err
	}
	at := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	if at == 0 {
		return fmt.Errorf("out of memory")
	}
	vfs := pointer[lib.Tsqlite3_vfs](at)
	*vfs = *pointer[lib.Tsqlite3_vfs](base)
	baseOpen = function[openFunc](vfs.FxOpen)
	vfs.FpNext, vfs.FzName = 0, name
	vfs.FxOpen = address(checkedOpen)
	if rc := lib.Xsqlite3_vfs_register(tls, at, 0); rc != lib.SQLITE_OK {
		return fmt.Errorf("register sqlite file access: code %d", rc)
	}
	return nil
})

// What the layer stands on. SQLite has a method table for each way of locking;
// each gets a changed copy for database files and one for logs, for ever.
var (
	baseOpen openFunc

	tablesMu sync.Mutex
	tables   = map[tableKey]uintptr{}
	origins  sync.Map // uintptr of a changed table → *lib.Tsqlite3_io_methods below it
)

type tableKey struct {
	base uintptr
	wal  bool
}

// checkedOpen opens the file the ordinary way and swaps its method table.
func checkedOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := baseOpen(tls, vfs, name, file, flags, outFlags)
	methods := pointer[uintptr](file) // the first field of every sqlite3_file
	if rc != lib.SQLITE_OK || *methods == 0 {
		return rc
	}
	switch {
	case flags&lib.SQLITE_OPEN_MAIN_DB != 0:
		*methods = table(tls, *methods, false)
	case flags&lib.SQLITE_OPEN_WAL != 0:
		*methods = table(tls, *methods, true)
	}
	return rc
}

func table(tls *libc.TLS, base uintptr, wal bool) uintptr {
	tablesMu.Lock()
	defer tablesMu.Unlock()
	key := tableKey{base, wal}
	if at, ok := tables[key]; ok {
		return at
	}
	at := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	if at == 0 {
		panic("out of memory") // a hundred bytes, once
	}
	below := pointer[lib.Tsqlite3_io_methods](base)
	m := pointer[lib.Tsqlite3_io_methods](at)
	*m = *below
	if wal {
		m.FxRead = address(walRead)
	} else {
		m.FxRead, m.FxWrite = address(pageRead), address(pageWrite)
	}
	tables[key] = at
	origins.Store(at, below)
	return at
}

func below(file uintptr) *lib.Tsqlite3_io_methods {
	m, _ := origins.Load(*pointer[uintptr](file))
	return m.(*lib.Tsqlite3_io_methods)
}

func pageWrite(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32 {
	if n == pageSize && off%pageSize == 0 {
		page := bytesAt(buf, pageSize)
		copy(page[pageSize-pageSpare:], pageSum(page, off))
	}
	return function[writeFunc](below(file).FxWrite)(tls, file, buf, n, off)
}

func pageRead(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32 {
	rc := function[readFunc](below(file).FxRead)(tls, file, buf, n, off)
	if rc == lib.SQLITE_OK && n == pageSize && off%pageSize == 0 && !pageGood(bytesAt(buf, pageSize), off) {
		return lib.SQLITE_IOERR_DATA
	}
	return rc
}

// pageSum is the checksum of a page at an offset of the database file. The
// offset is part of it, so a page that landed at another's place is wrong.
func pageSum(page []byte, off int64) []byte {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], uint64(off)) //nolint:gosec // never negative
	data := page[:pageSize-pageSpare]
	sum := make([]byte, 0, pageSpare)
	sum = binary.LittleEndian.AppendUint32(sum, crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, data))
	return binary.LittleEndian.AppendUint32(sum, crc32.Update(crc32.ChecksumIEEE(place[:]), crc32.IEEETable, data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func pageGood(page []byte, off int64) bool {
	if string(page[pageSize-pageSpare:]) == string(pageSum(page, off)) {
		return true
	}
	for _, b := range page {
		if b != 0 {
			return false
		}
	}
	return true
}

// The write-ahead log: a header, then frames of a header and a page each. The
// checksum of a frame goes on from that of the frame before.
const (
	walHeader   = 32 // its checksum is in the last 8 bytes
	frameHeader = 24 // page number, size after commit, salt (2×4), checksum (8)
	frameSize   = frameHeader + pageSize
)

func walRead(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32 {
	read := function[readFunc](below(file).FxRead)
	rc := read(tls, file, buf, n, off)
	if rc != lib.SQLITE_OK || n != pageSize || off < walHeader+frameHeader || (off-walHeader-frameHeader)%frameSize != 0 {
		return rc
	}
	scratch := tls.Alloc(frameHeader + 8)
	defer tls.Free(frameHeader + 8)
	before := int64(walHeader - 8)
	if off > walHeader+frameHeader {
		before = off - frameSize - 8
	}
	if rc := read(tls, file, scratch, frameHeader, off-frameHeader); rc != lib.SQLITE_OK {
		return rc
	}
	if rc := read(tls, file, scratch+frameHeader, 8, before); rc != lib.SQLITE_OK {
		return rc
	}
	head, prev, page := bytesAt(scratch, frameHeader), bytesAt(scratch+frameHeader, 8), bytesAt(buf, pageSize)
	// The log says in its header which byte order its sums were made in.
	if frameGood(binary.LittleEndian, head, prev, page) || frameGood(binary.BigEndian, head, prev, page) {
		return lib.SQLITE_OK
	}
	return lib.SQLITE_IOERR_DATA
}

// frameGood is the checksum of SQLite's file format, section 4.2: sums are
// stored big-endian and computed over words of the log's own byte order.
func frameGood(order binary.ByteOrder, head, prev, page []byte) bool {
	s0, s1 := binary.BigEndian.Uint32(prev), binary.BigEndian.Uint32(prev[4:])
	for _, part := range [][]byte{head[:8], page} {
		for ; len(part) >= 8; part = part[8:] {
			s0 += order.Uint32(part) + s1
			s1 += order.Uint32(part[4:]) + s0
		}
	}
	return binary.BigEndian.Uint32(head[16:]) == s0 && binary.BigEndian.Uint32(head[20:]) == s1
}

// newDatabase is an empty database of one page that reserves room for
// checksums and keeps a write-ahead log (SQLite's file format, section 1.3).
func newDatabase() []byte {
	p := make([]byte, pageSize)
	copy(p, "SQLite format 3\x00")
	binary.BigEndian.PutUint16(p[16:], pageSize)
	p[18], p[19] = 2, 2 // write-ahead log
	p[20] = pageSpare
	p[21], p[22], p[23] = 64, 32, 32
	binary.BigEndian.PutUint32(p[24:], 1)          // change counter
	binary.BigEndian.PutUint32(p[28:], 1)          // pages
	binary.BigEndian.PutUint32(p[44:], 4)          // schema format
	binary.BigEndian.PutUint32(p[56:], 1)          // UTF-8
	binary.BigEndian.PutUint32(p[68:], 0x6b757661) // application id: kuva
	binary.BigEndian.PutUint32(p[92:], 1)          // valid for this change counter
	binary.BigEndian.PutUint32(p[96:], lib.SQLITE_VERSION_NUMBER)
	p[100] = 13 // an empty leaf of the schema's table
	binary.BigEndian.PutUint16(p[105:], pageSize-pageSpare)
	copy(p[pageSize-pageSpare:], pageSum(p, 0))
	return p
}

// SQLite here is C turned into Go: its memory is outside Go's heap and never
// moves, its function pointers are Go functions behind a word.

func pointer[T any](at uintptr) *T { return *(**T)(unsafe.Pointer(&at)) }

func bytesAt(at uintptr, n int) []byte { return unsafe.Slice(pointer[byte](at), n) }

func function[F any](at uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ uintptr }{at}))
}

func address[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f}))
}
