package catalogue

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/job"
)

// lookEvery is how often a changed file is noticed.
const lookEvery = 2 * time.Second

// Catalogue is a file that is read again when it changes. Its methods may be
// called at the same time.
type Catalogue struct {
	path   string
	images *images.Service
	log    *slog.Logger

	mu      sync.Mutex
	looked  time.Time // by the monotonic clock
	seen    stamp
	entries []Entry
}

// stamp tells one state of a file from the next.
type stamp struct {
	at   time.Time
	size int64
}

// Open reads a catalogue file; "" is a catalogue without entries. A file that
// is not right is an error with line and field.
func Open(path string, service *images.Service, log *slog.Logger) (*Catalogue, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Catalogue{path: path, images: service, log: log, looked: time.Now()}
	if path == "" {
		return c, nil
	}
	var err error
	c.entries, c.seen, err = read(path)
	return c, err
}

func read(path string) ([]Entry, stamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, stamp{}, fmt.Errorf("catalogue: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{}, fmt.Errorf("catalogue %s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, stamp{}, fmt.Errorf("catalogue %s: %w", path, err)
	}
	entries, err := Parse(b)
	if err != nil {
		return nil, stampOf(info), fmt.Errorf("catalogue %s: %w", path, err)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, stampOf(info), nil
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.ModTime(), info.Size()} }

// List returns the entries by name, as the file has them now. Where it was
// changed into one that is not right, those before stay and the log says why.
// The entries are shared: do not change them. A nil Catalogue has none.
func (c *Catalogue) List() []Entry {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.path == "" || time.Since(c.looked) < lookEvery {
		return c.entries
	}
	c.looked = time.Now()
	info, err := os.Stat(c.path)
	if err == nil && stampOf(info) == c.seen {
		return c.entries
	}
	entries, seen, err := read(c.path)
	if err != nil {
		if c.seen != seen {
			c.log.Error("the catalogue stays as it was", "error", err)
		}
		c.seen = seen
		return c.entries
	}
	c.entries, c.seen = entries, seen
	c.log.Info("catalogue read again", "images", len(entries))
	return c.entries
}

// Find returns an entry; CodeNotFound where there is none of this name.
func (c *Catalogue) Find(name string) (*Entry, error) {
	list := c.List()
	i, there := slices.BinarySearchFunc(list, name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
	if !there {
		if len(name) > 100 {
			name = name[:100]
		}
		return nil, kuva.E(kuva.CodeNotFound, "catalogue.not_found", "name", strings.ToValidUTF8(name, "?"))
	}
	return &list[i], nil
}

// Wish says what is to become of an entry.
type Wish struct {
	Entry      string
	Name       string          // of the image; "" is the entry's
	Visibility kuva.Visibility // "" is what images have without a word
}

// Import makes an image of an entry for the caller's project and begins to fetch
// its content, which must have the entry's hash. The job tells how it goes on;
// an import that cannot begin leaves no image behind.
func (c *Catalogue) Import(ctx context.Context, p kuva.Principal, w Wish) (*kuva.Image, job.Job, error) {
	e, err := c.Find(w.Entry)
	if err != nil {
		return nil, job.Job{}, err
	}
	n := images.NewImage{
		Name: w.Name, Visibility: w.Visibility, DiskFormat: e.DiskFormat, MinDisk: e.MinDisk, MinRAM: e.MinRAM, Properties: e.properties(),
	}
	if n.Name == "" {
		n.Name = e.Name
	}
	if n.DiskFormat != "" {
		n.ContainerFormat = "bare"
	}
	img, err := c.images.Create(ctx, p, n)
	if err != nil {
		return nil, job.Job{}, err
	}
	j, err := c.images.ImportURL(ctx, p, img.ID, images.URLImport{URL: e.URL, Digest: &[2]string{e.Algorithm, e.Hash}})
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if gone := c.images.Delete(ctx, p, img.ID); gone != nil {
			c.log.Warn("an image without content stays", "image", img.ID, "error", gone)
		}
		return nil, job.Job{}, err
	}
	return img, j, nil
}

// properties are those of the image: what the entry says, and what it is.
func (e *Entry) properties() map[string]string {
	out := map[string]string{
		"os_distro": strings.ReplaceAll(strings.ToLower(e.OS), " ", ""), "os_version": e.Version, "architecture": e.Architecture, "licence": e.Licence, "catalogue": e.Name,
	}
	for key, value := range e.Properties {
		out[key] = value
	}
	return out
}
