package stek

import (
	"log/slog"
	"sync"
)

// A health remembers the last failure and logs when failing begins and when it
// ends, not each time: a client can provoke a question, and so a failure.
type health struct {
	logger *slog.Logger

	mu   sync.Mutex
	last error
}

// note records the outcome of operation.
func (h *health) note(operation string, err error) {
	h.mu.Lock()
	before := h.last
	h.last = err
	h.mu.Unlock()
	switch {
	case err != nil && before == nil:
		h.logger.Error("ticket keys: failing", "operation", operation, "error", err)
	case err == nil && before != nil:
		h.logger.Info("ticket keys: working again", "operation", operation)
	}
}

func (h *health) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}
