package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kuva/disk"
	"kuva/disk/formats"
	"kuva/disk/raw"
	"kuva/disk/source"
	"kuva/disk/wrap"
)

// handed is what the user says of a file besides its name: what it is, and
// what belongs to it. Names in the file itself are never followed.
type handed struct {
	format  string
	backing []string
	extents []string
	choice  int
	quiet   bool // no progress
}

func (h *handed) flags(f *pflag.FlagSet) {
	f.StringVarP(&h.format, "format", "f", "", "`FORMAT` of the file (default: by its bytes); raw takes it as it is")
	f.StringArrayVar(&h.backing, "backing", nil, "`FILE` that is below the disk; again for the one below that")
	f.StringArrayVar(&h.extents, "extent", nil, "`FILE` with data of a flat or split VMDK; one for each, in the descriptor's order")
	f.IntVar(&h.choice, "disk", 0, "`NUMBER` of the disk in an archive of several, from 1")
}

// input is a disk to read, and the file that it lies in.
type input struct {
	name    string // as the user gave it
	handed  handed
	r       io.ReaderAt
	size    int64
	onDisk  int64    // bytes that the file takes, -1 where that is not known
	file    *os.File // nil where it is none
	below   disk.Disk
	parts   []disk.Part
	unpack  func(done, total int64) // progress of unpacking, or nil
	closers []func() error

	// What open finds.
	disk       disk.Disk
	format     string   // of the file in the middle
	layers     []string // around it, the outermost first
	partitions []string
	choices    []source.Choice
	chosen     int
}

// openFile opens the bytes of a file, of standard input for "-" or of an
// image for "kuva:NAME".
func openFile(cmd *cobra.Command, name string, cloud *cloud) (*input, error) {
	s := &input{name: name, onDisk: -1}
	if image, ok := strings.CutPrefix(name, "kuva:"); ok && cloud != nil {
		return s, s.openImage(cmd, cloud, image)
	}
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, f.Close)
	}
	err := s.take(cmd.Context(), f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.Close())
	}
	return s, nil
}

// take finds the length of a file. A pipe is kept in a file without a name.
func (s *input) take(ctx context.Context, f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("this is a folder: name the file in it")
	case info.Mode().IsRegular():
		s.size = info.Size()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			s.onDisk = st.Blocks * 512
		}
	case info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
		// A disk ends where one can seek to.
		if s.size, err = f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	case isTerminal(f):
		return errors.New("nothing comes from a terminal: name a file, or send one through a pipe")
	default:
		kept, n, err := keepPipe(ctx, f)
		if err != nil {
			return fmt.Errorf("keep what comes through the pipe: %w", err)
		}
		s.closers = append(s.closers, kept.Close)
		f, s.size = kept, n
	}
	s.r, s.file = f, f
	return nil
}

// Close closes all that was opened for the source, the last first.
func (s *input) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// openDisk opens a file and the disk in it.
func openDisk(cmd *cobra.Command, name string, h handed, cloud *cloud) (*input, error) {
	s, err := openFile(cmd, name, cloud)
	if err != nil {
		return nil, err
	}
	if err = s.hand(cmd, h); err == nil {
		defer s.showUnpacking(cmd, h.quiet)()
		err = s.open(cmd.Context())
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// showUnpacking shows how far it is, from the first byte that is unpacked to the
// call of end.
func (s *input) showUnpacking(cmd *cobra.Command, quiet bool) (end func()) {
	var p *progress
	s.unpack = func(done, total int64) {
		if p == nil {
			p = newProgress(cmd, quiet, "unpack", total)
		}
		p.at(done, total)
	}
	return func() {
		if p != nil {
			p.end()
		}
	}
}

// hand opens what the user handed over beside the file.
func (s *input) hand(cmd *cobra.Command, h handed) error {
	s.handed = h
	for _, name := range h.extents {
		part, err := openFile(cmd, name, nil)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, part.Close)
		s.parts = append(s.parts, disk.Part{R: part.r, Size: part.size})
	}
	if len(h.backing) > 0 {
		below, err := openDisk(cmd, h.backing[0], handed{backing: h.backing[1:]}, nil)
		if err != nil {
			return fmt.Errorf("the backing file: %w", err)
		}
		s.closers = append(s.closers, below.Close)
		s.below = below.disk
	}
	return nil
}

// open opens the disk in the file: in whatever the file is wrapped, or, where
// the user says its format, in the file as it is.
func (s *input) open(ctx context.Context) error {
	if s.handed.format != "" {
		f := formats.ByName(s.handed.format)
		if f == nil {
			return usagef("there is no format %q: choose one of %s", s.handed.format, formatNames())
		}
		var err error
		s.format = f.Name
		s.disk, err = f.Open(ctx, s.r, s.size, s.options())
		return s.explain(err)
	}
	found, err := s.find(ctx)
	if found != nil {
		s.choices, s.chosen, s.layers = found.Choices, found.Chosen, found.Layers
	}
	if err != nil {
		return s.explain(err)
	}
	s.disk, s.format, s.partitions = found.Disk, found.Format.Name, found.Partitions
	s.layers = found.Layers[:len(found.Layers)-1]
	return nil
}

// find opens what the file is wrapped in.
func (s *input) find(ctx context.Context) (*source.Source, error) {
	return source.Open(ctx, s.r, s.size, source.Options{
		OpenOptions: s.options(), Choice: s.handed.choice, Progress: s.unpack,
		Spool: func(int64) (source.Temp, error) {
			f, err := unnamed()
			if err == nil {
				s.closers = append(s.closers, f.Close)
			}
			return f, err
		},
		// A disk that is mostly zeros packs well; what becomes of them takes no
		// space here, and whoever waits too long can stop it.
		Limits: wrap.Limits{Ratio: -1},
	})
}

func (s *input) options() disk.OpenOptions {
	return disk.OpenOptions{Parent: s.below, Parts: s.parts, Budget: disk.NewBudget(disk.Limits{})}
}

// explain says which file an error is about and what there is to do.
func (s *input) explain(err error) error {
	if err == nil {
		return nil
	}
	var refused *disk.Refused
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	hint := ""
	switch refused.Reason {
	case disk.ReasonBacking:
		hint = "If you know the file below it, hand it over: --backing FILE"
		if s.below != nil {
			hint = "Leave --backing out."
		}
	case disk.ReasonDataFile:
		hint = "If you know these files, hand over each: --extent FILE"
		if refused.Format != "vmdk" {
			hint = "Convert it where it was made, without the other file."
		}
		if len(s.parts) > 0 {
			hint = "Hand over as many as it names, in that order, by --extent FILE."
		}
	case disk.ReasonAmbiguous:
		hint = "Programs would differ about what it holds. If you know better, say -f FORMAT."
	case disk.ReasonUnsupported:
		hint = "What is read: " + formatNames() + ". If these bytes are the disk itself, say -f raw."
	case disk.ReasonEncrypted:
		hint = "Decrypt it first."
	case disk.ReasonChoice:
		hint = "Choose one: --disk N"
	}
	if hint != "" {
		return fmt.Errorf("%s: %w\n%s", s.name, err, hint)
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// formatNames lists the formats that are read, with the names that users of
// qemu-img know.
func formatNames() string {
	var names []string
	for _, f := range formats.All {
		name := f.Name
		if len(f.Aliases) > 0 {
			name += " (" + strings.Join(f.Aliases, ", ") + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// nothing stands for a backing file where only the tables of the file above it
// are looked at.
func nothing(ctx context.Context) disk.Disk {
	d, err := raw.Open(ctx, bytes.NewReader(nil), 0, disk.OpenOptions{})
	if err != nil {
		panic(err) // of no bytes
	}
	return d
}

// keepPipe copies a pipe into a file that has no name, so that it is gone when
// the process is. Zeros take no space in it.
func keepPipe(ctx context.Context, in io.Reader) (f *os.File, n int64, err error) {
	if f, err = unnamed(); err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return f, n, err
		}
		k, readErr := io.ReadFull(in, buf)
		if !disk.IsZero(buf[:k]) {
			if _, err := f.WriteAt(buf[:k], n); err != nil {
				return f, n, err
			}
		}
		n += int64(k)
		if readErr == io.EOF || readErr == io.ErrUnexpectedEOF {
			return f, n, f.Truncate(n)
		}
		if readErr != nil {
			return f, n, readErr
		}
	}
}

// unnamed makes a file in the folder for temporary files and takes its name
// away.
func unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", "kuva-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
