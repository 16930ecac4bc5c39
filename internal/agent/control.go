package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"
)

// A Control answers stek status, stek rotate and stek revoke, for root and for the
// user that the process runs as.
type Control struct {
	server *http.Server
}

// Serve answers for tables until Close.
func Serve(command, version string, tables []*Table, logger *slog.Logger) (*Control, error) {
	listener, _, err := listen(statusSockets)
	if err != nil {
		return nil, fmt.Errorf("listen for stek status: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		status := Status{PID: os.Getpid(), Command: command, Version: version, Tables: []TableStatus{}}
		for _, t := range tables {
			status.Tables = append(status.Tables, t.Status())
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status)
	})
	mux.HandleFunc("POST /rotate", each(tables, (*Table).Rotate))
	mux.HandleFunc("POST /revoke", each(tables, (*Table).Revoke))
	c := &Control{NewServer(mux, logger)}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

// each is a handler that does something with every table: one that fails does not
// keep the others from it.
func each(tables []*Table, do func(*Table) error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var failed error
		for _, t := range tables {
			if err := do(t); err != nil {
				failed = errors.Join(failed, fmt.Errorf("table %s: %w", t.Name(), err))
			}
		}
		if failed != nil {
			http.Error(w, failed.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// Close stops answering.
func (c *Control) Close() error { return c.server.Close() }

// NewServer is an HTTP server that nobody can keep busy for long.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
