package guest

import (
	"slices"

	"kuva/guest/check"
	"kuva/guest/fact"
	"kuva/guest/osinfo"
)

// Format is the version of the report's JSON: raised when a field changes its
// meaning or goes; new fields may come without.
const Format = 1

// Report is what an inspection tells, in the words of its JSON.
type Report struct {
	Format   int             `json:"format"`
	Facts    fact.Facts      `json:"facts"`
	Findings []check.Finding `json:"findings"`
	Verdicts Verdicts        `json:"verdicts"`
	// Notes are what could not be read or is odd.
	Notes []osinfo.Note `json:"notes,omitempty"`
	// Limit says which limit ended the inspection early, "" if none did. What
	// is there is right, but not all.
	Limit string `json:"limit,omitempty"`
	Cost  Cost   `json:"cost"`
}

// Cost is what the inspection took.
type Cost struct {
	Read         int64 `json:"bytes_read"`
	Steps        int64 `json:"steps"`
	Milliseconds int64 `json:"milliseconds"`
}

// Verdict is one answer.
type Verdict string

// The answers.
const (
	Yes    Verdict = "yes"
	No     Verdict = "no"
	Unsure Verdict = "unsure"
)

// Verdicts are the three questions that people have, with the ids of the
// findings that stand against.
type Verdicts struct {
	// Boots on KVM with virtio, so that somebody can log in.
	Boots   Verdict  `json:"boots"`
	BootsBy []string `json:"boots_because,omitempty"`
	// Clones safely: many machines from it do not get in each other's way.
	Clones   Verdict  `json:"clones"`
	ClonesBy []string `json:"clones_because,omitempty"`
	// Shares safely: no secret is handed on with it.
	Shares   Verdict  `json:"shares"`
	SharesBy []string `json:"shares_because,omitempty"`
}

// judge answers the questions by the findings. Where the disk could not be
// read well enough to say yes, it is unsure.
func (r *Report) judge() {
	blind := r.Limit != "" || r.Facts.OS == nil && !r.Facts.Disk.DataDisk
	for _, f := range r.Facts.Filesystems {
		blind = blind || f.Error != ""
	}
	answer := func(severities ...check.Severity) (Verdict, []string) {
		var by []string
		sure := false
		for _, f := range r.Findings {
			if slices.Contains(severities, f.Severity) && !slices.Contains(by, f.ID) {
				by = append(by, f.ID)
				sure = sure || !f.Unsure
			}
		}
		switch {
		case sure:
			return No, by
		case len(by) > 0 || blind:
			return Unsure, by
		}
		return Yes, nil
	}
	v := &r.Verdicts
	v.Boots, v.BootsBy = answer(check.Boot, check.Access)
	if r.Facts.Disk.DataDisk { // nothing on it could
		v.Boots = No
	}
	v.Clones, v.ClonesBy = answer(check.Clone)
	v.Shares, v.SharesBy = answer(check.Secret)
}
