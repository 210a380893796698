package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kuva/guest"
	"kuva/guest/check"
	"kuva/guest/fact"
	"kuva/message"
)

func newInspect() *cobra.Command {
	var in inside
	var asJSON bool
	var lang, sbom string
	var failOn []string
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Tell what is inside a disk, what will go wrong, and how to mend it",
		Long: `Look into the disk in FILE: partitions, file systems, the operating system and how
it is set up; and tell what keeps a machine made of it from starting, from being
reached, from being cloned, and which secrets are inside. Each finding comes with
the place, the consequence, and how to mend it by hand.

FILE is a disk of any format, or "kuva:NAME" for an image of the service. Nothing is
mounted, nothing is changed, and only a few percent of the disk are read.

Exit code 1: there are findings of a kind that --fail names.`,
		Example: `  kuva inspect web.qcow2
  kuva inspect web.qcow2 --lang pt-BR --fail boot,secret
  kuva inspect kuva:debian-12 --json
  kuva inspect web.qcow2 --sbom cyclonedx > web.cdx.json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if sbom != "" && sbom != "cyclonedx" {
				return usagef("--sbom %s is unknown: give cyclonedx", sbom)
			}
			for _, s := range failOn {
				if !slices.Contains(check.Severities, check.Severity(s)) {
					return usagef("--fail %s is unknown: give boot, access, clone, secret or advice", s)
				}
			}
			g, done, err := in.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer done()
			w := cmd.OutOrStdout()
			switch {
			case sbom != "":
				err = guest.WriteCycloneDX(w, g.Report, args[0])
			case asJSON:
				err = writeJSON(w, told(g.Report, language(lang)))
			default:
				err = printInspection(w, g.Report, language(lang))
			}
			if err == nil && slices.ContainsFunc(g.Report.Findings, func(f check.Finding) bool { return slices.Contains(failOn, string(f.Severity)) }) {
				err = &exitError{code: exitFailed}
			}
			return err
		},
	}
	f := cmd.Flags()
	in.flags(f)
	f.BoolVar(&asJSON, "json", false, "print JSON: facts, findings with their texts, verdicts")
	f.StringVar(&lang, "lang", "", "`LANGUAGE` of the texts: en, pt-BR, de or fi (default: that of $LANG)")
	f.StringVar(&sbom, "sbom", "", "print the packages as a bill of materials in the `FORM` cyclonedx")
	f.StringSliceVar(&failOn, "fail", nil, "exit with 1 if there are findings of these `KINDS`: boot, access, clone, secret, advice")
	return cmd
}

// inside are the flags of commands that look into a disk.
type inside struct {
	handed handed
	cloud  cloud
}

func (in *inside) flags(f *pflag.FlagSet) {
	in.handed.flags(f)
	in.cloud.flags(f)
}

// open looks into a disk; done closes it.
func (in *inside) open(cmd *cobra.Command, name string) (*guest.Guest, func(), error) {
	src, err := openDisk(cmd, name, in.handed, &in.cloud)
	if err != nil {
		return nil, nil, judged(err)
	}
	g, err := guest.Open(cmd.Context(), src.disk, guest.Options{})
	if err != nil {
		src.Close()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return g, func() { src.Close() }, nil
}

// language takes what the user asked for, or what the system speaks.
func language(asked string) message.Language {
	for _, want := range []string{asked, os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")} {
		if want == "" {
			continue
		}
		code, _, _ := strings.Cut(strings.ReplaceAll(want, "_", "-"), ".")
		short, _, _ := strings.Cut(code, "-")
		for _, l := range message.Languages {
			if s, _, _ := strings.Cut(string(l), "-"); strings.EqualFold(string(l), code) || strings.EqualFold(s, short) {
				return l
			}
		}
	}
	return message.English
}

// toldFinding is a finding with its texts.
type toldFinding struct {
	check.Finding
	check.Told
}

// toldReport is a report whose findings have their texts.
type toldReport struct {
	*guest.Report
	Findings []toldFinding `json:"findings"`
}

func told(r *guest.Report, lang message.Language) toldReport {
	t := toldReport{Report: r, Findings: []toldFinding{}}
	for _, f := range r.Findings {
		t.Findings = append(t.Findings, toldFinding{f, f.In(string(lang))})
	}
	return t
}

func printInspection(w io.Writer, r *guest.Report, lang message.Language) error {
	p := &reportPrinter{w: w, lang: lang}
	p.facts(&r.Facts)
	p.line("")
	p.verdicts(&r.Verdicts)
	for _, severity := range check.Severities {
		p.findings(r.Findings, severity)
	}
	if r.Limit != "" {
		p.line("")
		p.say("report.limit", "limit", r.Limit)
	}
	for _, n := range r.Notes {
		p.line("  ! " + clean(strings.TrimSpace(n.Step+" "+n.Path)) + ": " + clean(n.Detail))
	}
	return p.err
}

type reportPrinter struct {
	w    io.Writer
	lang message.Language
	err  error
}

func (p *reportPrinter) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

func (p *reportPrinter) say(key string, a ...any) { p.line(message.New(key, a...).In(p.lang)) }

func (p *reportPrinter) facts(f *fact.Facts) {
	switch {
	case f.OS != nil:
		about := []string{f.OS.Name}
		for _, s := range []string{f.OS.Version, f.OS.Arch} {
			if s != "" && !strings.Contains(f.OS.Name, s) {
				about = append(about, s)
			}
		}
		if f.CloudInit != nil {
			about = append(about, strings.TrimSpace("cloud-init "+f.CloudInit.Version))
		}
		p.line(clean(strings.Join(about, ", ")))
	case f.Disk.DataDisk:
		p.say("report.data_disk")
	default:
		p.say("report.no_system")
	}
	if f.Disk.Used >= 0 {
		p.say("report.size", "size", size(f.Disk.Size), "used", size(f.Disk.Used))
	} else {
		p.say("report.size_only", "size", size(f.Disk.Size))
	}
	var firmware []string
	if f.Boot.BIOS {
		firmware = append(firmware, "BIOS")
	}
	if f.Boot.UEFI {
		firmware = append(firmware, "UEFI")
	}
	if len(firmware) > 0 {
		p.say("report.firmware", "firmware", strings.Join(firmware, ", "))
	}
	for _, x := range f.Filesystems {
		about := "  " + f.Disk.Table + " " + x.Device + ": " + x.Type + ", " + size(x.Size)
		if x.Free >= 0 {
			about += " (" + size(x.Size-x.Free) + ")"
		}
		if x.Mount != "" {
			about += ", " + x.Mount
		}
		if x.Error != "" {
			about += ": " + x.Error
		}
		p.line(clean(about))
	}
	for _, k := range f.Kernels {
		about := "  " + k.Version
		if k.Default {
			about += " *"
		}
		p.line(clean(about))
	}
	if f.CloudInit != nil && len(f.CloudInit.Bootcmd) > 0 {
		p.say("report.bootcmd")
		for _, c := range f.CloudInit.Bootcmd {
			p.line("    " + clean(c))
		}
	}
}

func (p *reportPrinter) verdicts(v *guest.Verdicts) {
	for _, x := range []struct {
		verdict         guest.Verdict
		yes, no, unsure string
	}{
		{v.Boots, "report.boots_yes", "report.boots_no", "report.boots_unsure"},
		{v.Clones, "report.clones_yes", "report.clones_no", "report.clones_unsure"},
		{v.Shares, "report.shares_yes", "report.shares_no", "report.shares_unsure"},
	} {
		mark, key := "✓ ", x.yes
		switch x.verdict {
		case guest.No:
			mark, key = "✗ ", x.no
		case guest.Unsure:
			mark, key = "? ", x.unsure
		}
		p.line(mark + message.New(key).In(p.lang))
	}
}

func (p *reportPrinter) findings(all []check.Finding, severity check.Severity) {
	first := true
	for _, f := range all {
		if f.Severity != severity {
			continue
		}
		if first {
			p.line("")
			p.line(heading(severity).In(p.lang))
			first = false
		}
		words := f.In(string(p.lang))
		p.line("")
		p.line("  " + clean(words.Title) + "  [" + f.ID + "]")
		for _, e := range f.Evidence[:min(len(f.Evidence), 8)] {
			p.line("      " + clean(e.String()))
		}
		if more := len(f.Evidence) - 8 + f.More; more > 0 {
			p.line("      " + message.New("report.more", "count", more).In(p.lang))
		}
		p.text(words.Consequence)
		p.text(words.Mend)
	}
}

// text prints a text with its commands, indented.
func (p *reportPrinter) text(s string) {
	for l := range strings.Lines(s) {
		l = strings.TrimRight(l, "\n")
		if strings.HasPrefix(l, "    ") {
			p.line("    " + clean(l))
			continue
		}
		for _, w := range wrapped(clean(l), 84) {
			p.line("    " + w)
		}
	}
}

// wrapped breaks a text into lines of at most n characters.
func wrapped(s string, n int) (out []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > n {
			out, line = append(out, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(out, line)
}

func heading(s check.Severity) message.Text {
	switch s {
	case check.Boot:
		return message.New("report.severity_boot")
	case check.Access:
		return message.New("report.severity_access")
	case check.Clone:
		return message.New("report.severity_clone")
	case check.Secret:
		return message.New("report.severity_secret")
	}
	return message.New("report.severity_advice")
}
