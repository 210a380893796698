package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// output is where a command writes a file to. A regular file is written beside
// its place under another name and gets its own when all is right, so that
// neither a full disk nor a kill harms what was there. A disk of the machine is
// written in place, a pipe from front to back.
type output struct {
	name string
	file *os.File  // where it can be written anywhere
	pipe io.Writer // else
	disk bool      // of the machine: file has a length and old bytes
	size int64     // of that
	part string    // the file's name while it is written, "" otherwise
	mode fs.FileMode
}

// newOutput opens it. It must not be the file that is read.
func newOutput(cmd *cobra.Command, name string, src *os.File) (*output, error) {
	o := &output{name: name, mode: 0o666 &^ umask()}
	if name == "-" {
		if f, ok := cmd.OutOrStdout().(*os.File); ok && isTerminal(f) {
			return nil, usagef("standard output is a terminal, which a disk would garble: name a file, or send it into a pipe")
		}
		o.pipe = front{cmd.OutOrStdout()}
		return o, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return o, o.begin()
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name the file in it", name)
	}
	if src != nil {
		if from, err := src.Stat(); err == nil && os.SameFile(from, info) {
			return nil, usagef("%s is read and cannot be written at the same time: choose another name", name)
		}
	}
	switch {
	case info.Mode().IsRegular():
		o.mode = info.Mode().Perm()
		if o.name, err = filepath.EvalSymlinks(name); err != nil { // the link stays one
			return nil, err
		}
		return o, o.begin()
	case info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
		// O_EXCL: not one that is mounted.
		if o.file, err = os.OpenFile(name, os.O_RDWR|syscall.O_EXCL, 0); err != nil {
			return nil, err
		}
		o.disk = true
		if o.size, err = o.file.Seek(0, io.SeekEnd); err != nil {
			return nil, errors.Join(err, o.file.Close())
		}
		return o, nil
	}
	if o.file, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	o.pipe = front{o.file}
	return o, nil
}

// front hides that a pipe is an *os.File, which could be written anywhere.
type front struct{ io.Writer }

func (o *output) begin() (err error) {
	o.file, err = os.CreateTemp(filepath.Dir(o.name), filepath.Base(o.name)+".*.part")
	if err != nil {
		return err
	}
	o.part = o.file.Name()
	return nil
}

// Target is the file as package disk takes it: a disk of the machine keeps its
// length.
func (o *output) target() target {
	if o.disk {
		return target{o.file, o.size}
	}
	return target{o.file, -1}
}

type target struct {
	*os.File
	size int64
}

// Truncate implements disk.Target.
func (t target) Truncate(size int64) error {
	switch {
	case t.size < 0:
		return t.File.Truncate(size)
	case size > t.size:
		return fmt.Errorf("%s has room for %d bytes, %d are needed", t.Name(), t.size, size)
	}
	return nil
}

// finish puts the whole file in its place, safe from a power cut. It returns
// how long it is, -1 for a pipe.
func (o *output) finish() (int64, error) {
	if o.pipe != nil {
		if o.file != nil {
			return -1, o.file.Close()
		}
		return -1, nil
	}
	info, err := o.file.Stat()
	if err == nil && o.part != "" {
		err = o.file.Chmod(o.mode)
	}
	if err == nil {
		err = o.file.Sync()
	}
	if err = errors.Join(err, o.file.Close()); err != nil || o.part == "" {
		return o.size, err
	}
	if err := os.Rename(o.part, o.name); err != nil {
		return 0, err
	}
	o.part = ""
	return info.Size(), syncFolder(filepath.Dir(o.name))
}

// drop gives up what was not finished. It does no harm afterwards.
func (o *output) drop() {
	if o.file != nil {
		_ = o.file.Close()
	}
	if o.part != "" {
		_ = os.Remove(o.part)
	}
}

// umask is the mask of the process; to read it one has to set it.
func umask() fs.FileMode {
	old := syscall.Umask(0o077)
	syscall.Umask(old)
	return fs.FileMode(old)
}
