package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kuva"
	"kuva/disk"
	"kuva/guest"
	"kuva/guest/budget"
	"kuva/guest/check"
	"kuva/guest/osinfo"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// InspectConfig says what the site makes of inspections.
type InspectConfig struct {
	// Off: content is not looked into, and there are no reports.
	Off bool
	// KeepProperties: what the inspection finds is not written into
	// properties that the user left empty.
	KeepProperties bool
	// Reserved are address ranges that machines of this site cannot use.
	Reserved []netip.Prefix
	// Hold are the severities and ids of findings that keep an image from being
	// made public or community, until it carries Waiver. Nil is the severity
	// secret; an empty list holds nothing.
	Hold []string
	// Refuse are the severities and ids of findings with which content is not
	// taken in at all. Where there are any, content is looked into before its
	// upload is answered.
	Refuse []string
}

// Check refuses words in Hold and Refuse that are neither a severity nor the id
// of a check.
func (c *InspectConfig) Check() error {
	for _, word := range slices.Concat(c.Hold, c.Refuse) {
		known := slices.Contains(check.Severities, check.Severity(word)) ||
			slices.ContainsFunc(check.All, func(k *check.Check) bool { return k.ID == word })
		if !known {
			return fmt.Errorf("%q is neither a severity (boot, access, clone, secret, advice) nor the id of a finding", word)
		}
	}
	return nil
}

// Waiver is the property by which an owner shares an image in spite of what was
// found, with the reason as its value.
const Waiver = "kuva_share_anyway"

// jobInspect looks into an image's content.
const jobInspect = "image.inspect"

// What one inspection may cost.
var inspectLimits = budget.Limits{Read: 8 << 30, Memory: 128 << 20}

const (
	inspectChunks = 256     // of the depot's cache: directories and tables are read piece by piece
	maxReport     = 6 << 20 // bytes of JSON that are kept
)

// inspectLater has the content of an image looked into once tx is committed,
// where there is something to see.
func (s *Service) inspectLater(ctx context.Context, tx *catalog.Tx, img *catalog.Image, requestID string) error {
	if s.jobs == nil || s.cfg.Inspect.Off || img.Object == 0 || !opens(img.DiskFormat, img.ContainerFormat) {
		return nil
	}
	_, err := s.jobs.Enqueue(ctx, tx, job.New{
		Kind: jobInspect, Image: img.ID, Project: img.Owner, RequestID: requestID, UniqueKey: img.ID,
	})
	return err
}

// copyReport gives a copy the report of the same content, so that what is held
// back stays so; where there is none yet the copy is looked into itself.
func (s *Service) copyReport(ctx context.Context, tx *catalog.Tx, src, copied *catalog.Image, requestID string) error {
	r, ok, err := catalog.GetReport(ctx, tx, src.ID)
	if err != nil {
		return err
	}
	if !ok || r.Hash != contentKey(src) {
		return s.inspectLater(ctx, tx, copied, requestID)
	}
	r.Image, r.Hash = copied.ID, contentKey(copied)
	return catalog.PutReport(ctx, tx, r)
}

// inspect is the job.
func (s *Service) inspect(ctx context.Context, run *job.Run) error {
	var img *catalog.Image
	err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		img, err = catalog.GetImage(ctx, tx, run.Image)
		return err
	})
	if err != nil || img.Deleted() || img.Object == 0 || !opens(img.DiskFormat, img.ContainerFormat) {
		return err
	}
	report, err := s.look(ctx, img)
	if err != nil {
		return inspectFailed(coded(ctx, err))
	}
	text, err := marshalReport(report)
	if err != nil {
		return err
	}
	changed := false
	err = s.update(ctx, func(tx *catalog.Tx) error {
		if err := run.Fence(ctx, tx); err != nil {
			return err
		}
		was, err := catalog.LockImage(ctx, tx, img.ID)
		if err != nil || was.Deleted() || was.Object != img.Object && contentKey(was) != contentKey(img) {
			return err // another content has a job of its own
		}
		r := catalog.Report{Image: img.ID, Hash: contentKey(was), JSON: text, MadeAt: s.now()}
		if err := catalog.PutReport(ctx, tx, r); err != nil {
			return err
		}
		now := was.Copy()
		if changed = s.fillIn(now, report); !changed {
			return nil
		}
		now.Version++
		if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, kuva.Principal{ProjectID: img.Owner, RequestID: run.RequestID}, jobInspect, img.ID, audit.OK, nil)
	})
	if err != nil || !changed {
		return err
	}
	return s.putCard(ctx, img.ID)
}

// inspectFailed: what a restart or room may mend is tried again; an image that
// is gone needs none.
func inspectFailed(err error) error {
	switch kuva.CodeOf(err) {
	case kuva.CodeGone:
		return nil
	case kuva.CodeStorageFull, kuva.CodeUnavailable, kuva.CodeReadOnly:
		return job.Retry(err)
	}
	return err
}

// look inspects the content of an image.
func (s *Service) look(ctx context.Context, img *catalog.Image) (*guest.Report, error) {
	obj, err := s.depot.OpenObject(ctx, img.Object)
	if err != nil {
		return nil, err
	}
	return s.lookAt(ctx, img, obj)
}

// refuseFindings keeps content out in which something was found that the site
// does not take in.
func (s *Service) refuseFindings(ctx context.Context, img *catalog.Image, obj *depot.Object) error {
	if s.cfg.Inspect.Off || len(s.cfg.Inspect.Refuse) == 0 || !opens(img.DiskFormat, img.ContainerFormat) {
		return nil
	}
	select {
	case s.checks <- struct{}{}: // as many as contents are checked at a time
		defer func() { <-s.checks }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r, err := s.lookAt(ctx, img, obj)
	if err != nil {
		return err
	}
	if n, first := among(r.Findings, s.cfg.Inspect.Refuse); n > 0 {
		title := first.In("en").Title
		return kuva.E(kuva.CodeUnsupported, "image.finding_refused", "count", strconv.Itoa(n), "finding", first.ID, "title", strings.TrimSuffix(title, "."))
	}
	return nil
}

// among counts the findings whose severity or id is in a list.
func among(findings []check.Finding, list []string) (n int, first *check.Finding) {
	for i := range findings {
		f := &findings[i]
		if slices.Contains(list, f.ID) || slices.Contains(list, string(f.Severity)) {
			if n++; first == nil {
				first = f
			}
		}
	}
	return n, first
}

func (s *Service) lookAt(ctx context.Context, img *catalog.Image, obj *depot.Object) (*guest.Report, error) {
	file := obj.Cached(ctx, inspectChunks)
	d, err := openAs(ctx, obj, file, img.DiskFormat, disk.NewBudget(disk.Limits{Memory: checkMemory, Read: checkRead, Steps: checkSteps}))
	if err != nil {
		return nil, contentError(kuva.CodeUnsupported, err)
	}
	report, err := guest.Inspect(ctx, d, guest.Options{
		Limits: inspectLimits, Reserved: s.cfg.Inspect.Reserved,
		OnPanic: func(v any, stack []byte) {
			s.log.Error("a reader of guests panicked", "image", img.ID, "panic", v, "stack", string(stack))
		},
	})
	if errors.Is(err, depot.ErrDamaged) || errors.Is(err, depot.ErrGone) || errors.Is(err, depot.ErrNotFound) {
		return nil, err
	}
	return report, contentError(kuva.CodeUnsupported, err)
}

// marshalReport writes a report, without its longest lists where it would be
// too large to keep.
func marshalReport(r *guest.Report) (string, error) {
	b, err := json.Marshal(r)
	if err == nil && len(b) > maxReport {
		r.Facts.Packages = nil
		r.Notes = append(r.Notes, osinfo.Note{Step: "packages", Detail: "left out: the report would be too large"})
		b, err = json.Marshal(r)
	}
	return string(b), err
}

// fillIn writes what was found where the user left it empty, by the names of
// the Image API's common properties, and tells whether anything changed.
func (s *Service) fillIn(img *catalog.Image, r *guest.Report) bool {
	if s.cfg.Inspect.KeepProperties || r.Facts.OS == nil {
		return false
	}
	changed := false
	set := func(name, value string) {
		value = check.Cut(value) // the guest's own words
		if _, there := img.Properties[name]; there || value == "" {
			return
		}
		if img.Properties == nil {
			img.Properties = map[string]string{}
		}
		img.Properties[name] = value
		changed = true
	}
	o := r.Facts.OS
	set("os_type", o.Family)
	set("os_distro", o.Distro)
	set("os_version", o.Version)
	set("architecture", o.Arch)
	switch b := r.Facts.Boot; {
	case b.BIOS:
		set("hw_firmware_type", "bios")
	case b.UEFI:
		set("hw_firmware_type", "uefi")
	}
	if DrivesVirtio(r) {
		set("hw_disk_bus", "virtio")
		set("hw_vif_model", "virtio")
	}
	if img.MinDisk == 0 && img.VirtualSize > 0 {
		img.MinDisk = (img.VirtualSize + 1<<30 - 1) >> 30
		changed = true
	}
	return changed
}

// DrivesVirtio tells whether a report says that the system can use virtio.
func DrivesVirtio(r *guest.Report) bool {
	for _, f := range r.Findings {
		if f.ID == "boot-virtio" || f.ID == "boot-windows-virtio" {
			return false
		}
	}
	o := r.Facts.OS
	return o != nil && (o.Family == "linux" && len(r.Facts.Kernels) > 0 || o.Family == "windows" && r.Facts.Windows != nil)
}

// Report returns what the inspection of an image told, to whoever may read its
// content. CodeNotFound where its content is not opened as a disk, CodeConflict
// while the inspection goes on; one that is missing is begun.
func (s *Service) Report(ctx context.Context, p kuva.Principal, id string) (*guest.Report, *kuva.Image, error) {
	var img *catalog.Image
	var kept catalog.Report
	found := false
	err := s.view(ctx, func(tx *catalog.Tx) error {
		var member *kuva.Member
		var err error
		if img, member, err = s.see(ctx, tx, catalog.GetImage, p, id); err != nil {
			return err
		}
		if !s.allows(p, policy.GetReport, img, member) {
			return refused(policy.GetReport)
		}
		if err := s.mayRead(p, img, member); err != nil {
			return err // it tells what is inside
		}
		kept, found, err = catalog.GetReport(ctx, tx, id)
		found = found && kept.Hash == contentKey(img)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if found {
		r := &guest.Report{}
		if err := json.Unmarshal([]byte(kept.JSON), r); err != nil {
			return nil, nil, err
		}
		return r, &img.Image, nil
	}
	switch {
	case img.Object == 0:
		return nil, nil, kuva.E(kuva.CodeConflict, "image.report_no_content")
	case s.cfg.Inspect.Off || !opens(img.DiskFormat, img.ContainerFormat):
		return nil, nil, kuva.E(kuva.CodeNotFound, "image.report_none", "disk_format", img.DiskFormat, "container_format", img.ContainerFormat)
	}
	return nil, nil, s.missingReport(ctx, p, img)
}

// missingReport begins an inspection where none is under way; the error says
// how things stand.
func (s *Service) missingReport(ctx context.Context, p kuva.Principal, img *catalog.Image) error {
	err := s.update(ctx, func(tx *catalog.Tx) error {
		jobs, err := s.jobs.List(ctx, tx, job.Filter{Kind: jobInspect, Image: img.ID, Limit: 1})
		if err != nil {
			return err
		}
		if len(jobs) > 0 && jobs[0].State == job.Failed && jobs[0].CreatedAt.After(img.UpdatedAt) {
			return kuva.E(kuva.CodeConflict, "image.report_failed", "reason", jobs[0].Sentence)
		}
		if len(jobs) == 0 || jobs[0].State.Final() {
			err = s.inspectLater(ctx, tx, img, p.RequestID)
		}
		return err
	})
	if err == nil {
		err = kuva.E(kuva.CodeConflict, "image.report_pending")
	}
	return err
}

// held refuses to let more people at an image in which something was found that
// the site holds back, unless its owner has said why it may go.
func (s *Service) held(ctx context.Context, tx *catalog.Tx, img *catalog.Image) error {
	hold := s.cfg.Inspect.Hold
	if hold == nil {
		hold = []string{string(check.Secret)}
	}
	if s.cfg.Inspect.Off || len(hold) == 0 || img.Properties[Waiver] != "" || img.Object == 0 {
		return nil
	}
	kept, ok, err := catalog.GetReport(ctx, tx, img.ID)
	if err != nil || !ok || kept.Hash != contentKey(img) {
		return err
	}
	var r guest.Report
	if err := json.Unmarshal([]byte(kept.JSON), &r); err != nil {
		return err
	}
	n, first := among(r.Findings, hold)
	if n == 0 {
		return nil
	}
	return kuva.E(kuva.CodeConflict, "image.held", "count", strconv.Itoa(n), "finding", first.ID, "waiver", Waiver)
}

// wider tells whether more people see an image than before.
func wider(was, now kuva.Visibility) bool {
	order := []kuva.Visibility{kuva.VisibilityPrivate, kuva.VisibilityShared, kuva.VisibilityCommunity, kuva.VisibilityPublic}
	return slices.Index(order, now) > slices.Index(order, was) && now != kuva.VisibilityShared
}
