package portal

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"kuva"
)

// contentPolicy is what the pages may do: run and look as our own files say,
// and talk to us. Nothing inline, nothing evaluated, no frames in either
// direction; markup is made by the one library that may, and of the guide
// (trusted types).
var contentPolicy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"img-src 'self'",
	"connect-src 'self'",
	"form-action 'self'",
	"base-uri 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
	"trusted-types svelte-trusted-html kuva-guide",
	"report-uri /portal/report",
}, "; ")

const permissionsPolicy = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), " +
	"hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(self)"

// maxReport bounds what a browser may say, in bytes.
const maxReport = 16 << 10

// directives are the names that reports are counted by; strangers may send
// any, and labels must be few.
var directives = []string{
	"default-src", "script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem", "style-src-attr", "img-src", "connect-src", "font-src",
	"form-action", "base-uri", "frame-ancestors", "require-trusted-types-for", "trusted-types", "worker-src", "manifest-src", "media-src", "object-src", "frame-src",
}

func newReports(reg prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kuva_portal_policy_reports_total", Help: "Things that browsers refused to do for the portal's pages, by directive. Each is a bug, or an attack.",
	}, []string{"directive"})
	if reg != nil {
		reg.MustRegister(c)
	}
	return c
}

// report counts what a browser refused. It keeps nothing of what was said: the
// addresses in it may hold secrets, and anybody may send it.
func (p *Portal) report(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReport+1))
	if err != nil {
		return kuva.E(kuva.CodeInvalid, "rest.body_broken").Because(err)
	}
	if len(body) > maxReport {
		return kuva.E(kuva.CodeTooLarge, "rest.json_large", "limit", maxReport)
	}
	p.reports.WithLabelValues(directiveOf(body)).Inc()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// directiveOf names what a report is about, "other" where it says nothing that
// is known.
func directiveOf(body []byte) string {
	var in struct {
		Report struct {
			Effective string `json:"effective-directive"`
			Violated  string `json:"violated-directive"`
		} `json:"csp-report"`
	}
	if json.Unmarshal(body, &in) != nil {
		return "other"
	}
	name := in.Report.Effective
	if name == "" {
		name, _, _ = strings.Cut(in.Report.Violated, " ")
	}
	for _, d := range directives {
		if name == d {
			return d
		}
	}
	return "other"
}
