// Package guest looks into disks: which volumes and file systems they hold,
// which operating system, how it is set up, and what will go wrong when a
// machine is made of it. Everything is read in this process, without mounting,
// without root, without a helper machine, and under a budget.
//
//	disk ─▶ volume.Scan ─▶ file systems ─▶ root ─▶ osinfo.Gather ─▶ check.Run ─▶ Report
//
// Disks come from strangers: what is damaged is told in the report, what costs
// too much ends it early and says so, and nothing that the disk names is
// opened anywhere but on the disk.
package guest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/check"
	"kuva/guest/fact"
	"kuva/guest/osinfo"
	"kuva/guest/tree"
	"kuva/guest/volume"
)

// Options of an inspection. The zero value is fine.
type Options struct {
	// Limits of what it may cost; zero fields take the default.
	Limits budget.Limits
	// Time it may take; default 60 s.
	Time time.Duration
	// Reserved are address ranges that the site keeps for itself.
	Reserved []netip.Prefix
	// SkipChecks leaves checks out, by id.
	SkipChecks []string
	// OnPanic is told of a panic in a reader: a bug of ours, which the report
	// shows as damage. May be nil.
	OnPanic func(value any, stack []byte)
}

// Guest is a disk that was looked into, with its files open for reading. Its
// disk must stay open as long.
type Guest struct {
	Report *Report
	// FS are the files of the system with what its fstab mounts; of a data
	// disk the first file system; nil where there is none.
	FS *tree.FS
	// Filesystems are all that could be opened, by Filesystem.Device.
	Filesystems map[string]*tree.FS

	budget *budget.Budget
}

// Inspect looks into a disk and reports. The report says itself what could not
// be read. Errors are only those of the disk, the end of ctx, and a panic, as
// a *disk.Malformed.
func Inspect(ctx context.Context, d disk.Disk, o Options) (*Report, error) {
	g, err := Open(ctx, d, o)
	if err != nil {
		return nil, err
	}
	return g.Report, nil
}

// Open is Inspect that keeps the files at hand. ctx and the budget's limits
// hold for reading them too, but not Options.Time.
func Open(ctx context.Context, d disk.Disk, o Options) (g *Guest, err error) {
	defer func() {
		// The one boundary that a panic does not cross.
		if v := recover(); v != nil {
			if o.OnPanic != nil {
				o.OnPanic(v, debug.Stack())
			}
			g, err = nil, disk.Malform("", "reading the disk failed in a way that nobody foresaw: %v", v)
		}
	}()
	if o.Time <= 0 {
		o.Time = time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, o.Time)
	defer cancel()
	began := time.Now()
	b := budget.New(limited, o.Limits)
	g = &Guest{Report: &Report{Format: Format}, Filesystems: map[string]*tree.FS{}, budget: b}
	err = g.look(d, o)
	read, steps, _ := b.Spent()
	g.Report.Cost = Cost{Read: read, Steps: steps, Milliseconds: time.Since(began).Milliseconds()}
	var limit *budget.Limit
	if errors.As(err, &limit) && ctx.Err() == nil {
		g.Report.Limit = limit.Error()
		err = nil
	}
	if err != nil {
		return nil, err
	}
	g.Report.judge()
	b.Renew(ctx) // for whoever reads files later
	return g, nil
}

func (g *Guest) look(d disk.Disk, o Options) error {
	r, b := g.Report, g.budget
	r.Facts.Disk.Size, r.Facts.Disk.Used = d.Size(), -1
	l, err := volume.Scan(d, b)
	if err != nil {
		return fmt.Errorf("find the volumes: %w", err)
	}
	g.volumes(l)
	opened, err := g.filesystems(l)
	if err != nil {
		return err
	}
	root := g.root(opened)
	gathering := &osinfo.Guest{Budget: b, Facts: &r.Facts}
	if root != nil {
		g.FS = root.fs
		gathering.FS = root.fs
		g.mount(root, opened)
		err = osinfo.Gather(gathering)
		r.Notes = append(r.Notes, gathering.Notes...)
		if err != nil {
			return err
		}
	} else if len(opened) > 0 {
		g.FS = opened[0].fs
	}
	g.boot(l, opened)
	r.Facts.Disk.DataDisk = r.Facts.OS == nil && !r.Facts.Boot.BIOS && !r.Facts.Boot.UEFI
	if g.FS == nil {
		return nil
	}
	subject := &check.Subject{Facts: &r.Facts, FS: g.FS, Budget: b, Reserved: o.Reserved}
	r.Findings, err = check.Run(subject, check.Options{Skip: o.SkipChecks})
	return err
}

// volumes puts the layout into the facts.
func (g *Guest) volumes(l *volume.Layout) {
	f := &g.Report.Facts
	f.Disk.Table, f.Disk.ID, f.Disk.Sector = l.Scheme, l.ID, int(l.SectorSize)
	for _, n := range l.Notes {
		g.Report.Notes = append(g.Report.Notes, osinfo.Note{Step: n.ID, Detail: n.Detail})
	}
	for _, v := range l.Volumes {
		if v.Number == 0 {
			continue
		}
		f.Partitions = append(f.Partitions, fact.Partition{
			Number: v.Number, Offset: v.Off, Size: v.Size, Type: v.Type, TypeName: v.Role, Name: v.Label, UUID: v.UUID,
			Bootable: v.Boot, Holds: v.Content.Type,
		})
	}
}
