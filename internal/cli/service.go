package cli

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/net/netutil"

	"github.com/go-stek/stek/internal/agent"
	"github.com/go-stek/stek/internal/metrics"
)

// mostConnections is how many connections for metrics are open at a time.
const mostConnections = 64

// A service answers stek status, and Prometheus if an address is given.
type service struct {
	control *agent.Control
	metrics *http.Server // or nil
}

func startService(command, version, address string, tables []*agent.Table, logger *slog.Logger) (*service, error) {
	control, err := agent.Serve(command, version, tables, logger)
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
	s.metrics = agent.NewServer(mux, logger)
	go func() { _ = s.metrics.Serve(netutil.LimitListener(listener, mostConnections)) }()
	return s, nil
}

func (s *service) close() {
	_ = s.control.Close()
	if s.metrics != nil {
		_ = s.metrics.Close()
	}
}
