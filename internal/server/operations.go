package server

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kuva"
	"kuva/internal/rest"
)

// health is what /healthz and /readyz say.
type health struct {
	Status string            `json:"status"` // ok, degraded, stopping
	Checks map[string]string `json:"checks,omitempty"`
}

// operations serves health and metrics. The process is healthy while it
// answers; it is ready while the database answers and it is not stopping. A
// read-only depot is ready (reads go on) and says so.
func (s *Server) operations(door rest.Door) http.Handler {
	s.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kuva_depot_read_only", Help: "1 while the depot takes no writes."}, func() float64 {
			if s.depot.ReadOnly() != nil {
				return 1
			}
			return 0
		}),
	)
	door.Name, door.Log = "operations", nil // probes come every second: no log line each
	rt := rest.NewRouter(&door)
	rt.Handle("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		rest.WriteJSON(w, http.StatusOK, health{Status: "ok"})
	}))
	rt.Handle("GET /readyz", http.HandlerFunc(s.readyz))
	metrics := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
	rt.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) error {
		if err := s.mayScrape(r); err != nil {
			return err
		}
		metrics.ServeHTTP(w, r)
		return nil
	})
	return door.Wrap(rt)
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	h, status := health{Status: "ok", Checks: map[string]string{"database": "ok", "depot": "ok"}}, http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.db.Ping(ctx); err != nil {
		s.log.Error("database does not answer", "error", err)
		h.Checks["database"], h.Status, status = "does not answer", "degraded", http.StatusServiceUnavailable
	}
	if s.depot.ReadOnly() != nil {
		h.Checks["depot"], h.Status = "read-only", "degraded"
	}
	if !s.ready.Load() {
		h.Status, status = "stopping", http.StatusServiceUnavailable
	}
	rest.WriteJSON(w, status, h)
}

// mayScrape lets programs on this machine read the metrics, and
// administrators from elsewhere. A request that came through a proxy is from
// elsewhere, whatever its last hop.
func (s *Server) mayScrape(r *http.Request) error {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && peer.Addr().Unmap().IsLoopback() && r.Header.Get("Forwarded") == "" && r.Header.Get("X-Forwarded-For") == "" {
		return nil
	}
	p, err := s.auth.Check(r.Context(), r.Header.Get(rest.HeaderToken))
	if err != nil {
		return err
	}
	if !p.Admin {
		return kuva.E(kuva.CodeForbidden, "identity.forbidden", "action", "metrics")
	}
	return nil
}
