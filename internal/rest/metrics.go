package rest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts calls by door, route and class of status. Labels never hold
// ids, so their number is bounded by the number of routes. A nil *Metrics
// counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them; registering twice panics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuva_http_requests_total", Help: "HTTP requests by door, route and class of status.",
		}, []string{"door", "route", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kuva_http_request_seconds", Help: "Time from the request's header to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30, 300},
		}, []string{"door", "route"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuva_http_panics_total", Help: "Handlers that panicked. Each one is a bug.",
		}, []string{"door"}),
	}
	reg.MustRegister(m.requests, m.seconds, m.panics)
	return m
}

func (m *Metrics) observe(door, route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	if route == "" {
		route = "unmatched"
	}
	m.requests.WithLabelValues(door, route, strconv.Itoa(status/100)+"xx").Inc()
	m.seconds.WithLabelValues(door, route).Observe(took.Seconds())
}

func (m *Metrics) panicked(door string) {
	if m != nil {
		m.panics.WithLabelValues(door).Inc()
	}
}
