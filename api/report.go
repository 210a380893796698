package api

import (
	"kuva/guest"
	"kuva/guest/check"
)

// ImageReport is what an inspection told of an image's content.
type ImageReport struct {
	Image    string `json:"image"`
	Language string `json:"language"` // of the findings' texts, as a BCP 47 tag
	// LaunchMode is how a machine of it is best started: paravirtualised
	// where the system drives virtio, emulated where it does not; null where
	// there is no system.
	LaunchMode *string `json:"launch_mode"`
	*guest.Report
	Findings []ReportFinding `json:"findings"`
}

// ReportFinding is a finding with its texts.
type ReportFinding struct {
	check.Finding
	check.Told
}

// NewImageReport tells a report in a language.
func NewImageReport(image string, r *guest.Report, lang string) ImageReport {
	out := ImageReport{Image: image, Language: lang, Report: r, Findings: make([]ReportFinding, len(r.Findings))}
	for i, f := range r.Findings {
		out.Findings[i] = ReportFinding{f, f.In(lang)}
	}
	return out
}
