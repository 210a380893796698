// Package tree is what the file systems of a guest have in common. A package
// for one file system implements Reader, which knows nodes by ID and nothing
// of paths; New makes of it an FS, which is an io/fs.FS with all that goes
// with paths: symbolic links resolved inside the guest, "..", mounts of one
// file system in another, loops, open files.
//
//	ext4.Open ─▶ Reader ─New─▶ FS ─▶ fs.ReadFile(f, "etc/os-release")
//	                           │Mount("boot", other)
//
// Nothing here, and nothing that a Reader does, changes the disk or opens a
// file of the host.
package tree

import (
	"io"
	"io/fs"
	"iter"
	"slices"
	"time"

	"kuva/disk"
)

// ID names a node of one file system: Ino is its inode number, or what takes
// its place (the byte offset of a record, where a format has no inodes). Tree
// tells file trees inside one file system apart, such as subvolumes; it is 0
// where there is only one.
type ID struct{ Tree, Ino uint64 }

// Reader is a file system as its own structures have it. Nodes are named by
// ID; there are no paths and no symbolic links to follow.
//
// All methods may be called at the same time from any goroutine. Errors are
// *disk.Malformed for what is damaged, *disk.Refused for what is not read
// (encrypted content, unknown features), *budget.Limit, and those of the disk.
type Reader interface {
	// Info tells about the file system as a whole.
	Info() Info
	// Root is the top folder.
	Root() ID
	// Stat reads a node's attributes.
	Stat(id ID) (Attr, error)
	// ReadDir calls f for the entries of a folder, in the order of the disk,
	// without "." and "..", until f gives an error, which it returns. It
	// counts a step for each entry in the budget, and ends for any folder.
	ReadDir(id ID, f func(Entry) error) error
	// Open gives the content of a regular file. Holes read as zeros.
	Open(id ID) (File, error)
	// Readlink gives the target of a symbolic link as it is written.
	Readlink(id ID) (string, error)
}

// A Lookuper is a Reader that finds names its own way: by an index, or
// without regard to case. For others the FS reads the folder and remembers.
// A name that is not there gives fs.ErrNotExist.
type Lookuper interface {
	Lookup(dir ID, name string) (Entry, error)
}

// An Xattrer is a Reader that knows extended attributes, by their full names
// such as security.capability.
type Xattrer interface {
	Xattrs(id ID) (map[string][]byte, error)
}

// A Spacer is a Reader that knows which bytes are free.
type Spacer interface {
	// Free gives the free stretches, in bytes from the start of the file
	// system, in ascending order and not touching each other.
	Free() iter.Seq2[Extent, error]
}

// Extent is a stretch of a file system or of a file, Len bytes from Off.
type Extent struct{ Off, Len int64 }

// File is the content of a regular file; it may be read from many goroutines
// and holds nothing that had to be closed.
type File interface {
	io.ReaderAt
	Size() int64
}

// An Extenter is a File that knows where its bytes lie. At counts from the
// start of the file system; it is disk.Nowhere for what is compressed or
// inline.
type Extenter interface {
	Extents() iter.Seq2[disk.Extent, error]
}

// Entry is one name in a folder. Names are the bytes of the disk where the
// file system has bytes (they need not be UTF-8), and UTF-8 where it has
// UTF-16.
type Entry struct {
	Name string
	ID   ID
	// Type is the type part of a mode (S_IFREG and so on), or 0 where only
	// Stat can tell.
	Type uint32
}

// Attr is what Stat tells.
type Attr struct {
	ID        ID
	Mode      uint32 // as in stat(2): type, permissions, setuid, setgid, sticky
	UID, GID  uint32
	Nlink     uint32
	Size      int64  // in bytes; of a symbolic link the length of its target
	Allocated int64  // bytes that the content takes on the disk
	Rdev      uint64 // of device nodes: major<<32 | minor
	Flags     Flags
	// Times with the precision of the disk; zero where it does not tell.
	Mtime, Atime, Ctime, Btime time.Time
}

// Flags of a node, as far as they matter to a reader.
type Flags uint32

// The flags.
const (
	Encrypted  Flags = 1 << iota // content and names are not readable
	Compressed                   // stored compressed
	Verity                       // content is sealed by a hash tree
	Casefold                     // names of this folder match without regard to case
	Immutable                    // chattr +i
	Append                       // chattr +a
	System                       // FAT and NTFS: system
	Hidden                       // FAT and NTFS: hidden
	Readonly                     // FAT and NTFS: read-only
)

// Types in a mode, as in stat(2).
const (
	TypeMask = 0o170000
	Socket   = 0o140000
	Symlink  = 0o120000
	Regular  = 0o100000
	Block    = 0o060000
	Dir      = 0o040000
	Char     = 0o020000
	FIFO     = 0o010000

	Setuid = 0o4000
	Setgid = 0o2000
	Sticky = 0o1000
)

// FileMode is a mode of stat(2) in Go's words.
func FileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & TypeMask {
	case Dir:
		m |= fs.ModeDir
	case Symlink:
		m |= fs.ModeSymlink
	case Block:
		m |= fs.ModeDevice
	case Char:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case FIFO:
		m |= fs.ModeNamedPipe
	case Socket:
		m |= fs.ModeSocket
	case Regular:
	default:
		m |= fs.ModeIrregular
	}
	for bit, flag := range map[uint32]fs.FileMode{Setuid: fs.ModeSetuid, Setgid: fs.ModeSetgid, Sticky: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}

// Info tells about a file system.
type Info struct {
	Type      string // ext4, xfs, btrfs, vfat, ntfs, iso9660 …: the names of blkid
	Label     string
	UUID      string // as blkid prints it
	BlockSize int64
	Size      int64 // bytes that the file system spans
	// FreeBytes are as its own counters say; -1 where it has none, or where it
	// was not unmounted, so that they are stale: a Spacer knows then.
	FreeBytes int64
	Features  []string
	Notes     []Note
}

// Note is something odd that a reader met and went on after, for findings.
type Note struct {
	ID     string // one of the words below
	Detail string
}

// maxNotes is how many notes one file system gives.
const maxNotes = 32

// AddNote appends a note that is not there yet, up to a bound.
func AddNote(notes []Note, id, detail string) []Note {
	n := Note{ID: id, Detail: detail}
	if len(notes) >= maxNotes || slices.Contains(notes, n) {
		return notes
	}
	return append(notes, n)
}

// The notes that readers give.
const (
	// JournalReplayed: the file system was not unmounted, and its journal was
	// replayed in memory: what is read is what a mount would show.
	JournalReplayed = "journal-replayed"
	// JournalDirty: the file system was not unmounted, and the journal was not
	// replayed (the detail says why): what is read may be stale.
	JournalDirty = "journal-dirty"
	// BackupSuperblock: the first superblock is broken, a copy was used.
	BackupSuperblock = "backup-superblock"
	// BadChecksum: a structure's checksum is wrong, and the structure was read
	// all the same.
	BadChecksum = "bad-checksum"
	// Truncated: the file system is larger than the volume it lies in.
	Truncated = "truncated"
	// Errors: the file system itself says that errors were found in it.
	Errors = "errors"
)
