package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/pxe"
	"ingot/store"
	"ingot/web"
	"ingot/web/metrics"
)

// watchable lets the daemon be watched: its figures behind GET /metrics of the API, and whether it is well for anybody.
func (h *house) watchable(boots *pxe.Server) {
	h.api.Metrics = metrics.New(metrics.Source{DB: h.db, Version: version, Locked: h.chunks.Locked,
		Jobs: func(ctx context.Context) ([]store.JobView, error) { return h.service.Jobs(ctx, false) },
		Free: func() (int64, error) { return freeBytes(h.cfg.Data) }})
	h.api.Health = web.Health(answers(h.db, boots, h.cfg.Data))
}

// metricsPort opens the port on which a monitoring system on this machine reads the figures without a token; nil where
// none is configured. Nobody else can reach it.
func (h *house) metricsPort() (net.Listener, error) {
	port := h.cfg.Metrics.Port
	if port == 0 {
		return nil, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", job.Faultf(job.CodeDaemon, "The port %d of the metrics is not free.", port), err)
	}
	return l, nil
}

// serveMetrics serves that port; without one it waits for the end as every part does.
func (h *house) serveMetrics(log zerolog.Logger, l net.Listener) func(context.Context) error {
	if l == nil {
		return func(ctx context.Context) error { <-ctx.Done(); return nil }
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h.api.Metrics.Handler())
	mux.Handle("GET /healthz", h.api.Health)
	return overHTTP(log, l, &http.Server{Handler: localOnly(mux), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10})
}

// localOnly refuses a browser that was led here under another name (DNS rebinding).
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this is not for other machines", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
