package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-stek/stek/internal/agent"
	"github.com/go-stek/stek/internal/metrics"
)

// A service answers stek status, and Prometheus if an address is given.
type service struct {
	control *agent.Control
	metrics *http.Server // or nil
}

func startService(command, version, address string, tables []*agent.Table) (*service, error) {
	control, err := agent.Serve(command, version, tables)
	if err != nil {
		return nil, err
	}
	s := &service{control: control}
	if address == "" {
		return s, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		_ = control.Close()
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	measured := make([]metrics.Table, len(tables))
	for i, t := range tables {
		measured[i] = t
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(func() []metrics.Table { return measured }, version))
	s.metrics = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.metrics.Serve(listener) }()
	return s, nil
}

func (s *service) close() {
	err := s.control.Close()
	if s.metrics != nil {
		err = errors.Join(err, s.metrics.Close())
	}
	_ = err // nothing is lost
}
