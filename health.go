package stek

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// quietTime is the least time between two log lines about one operation: a
// client can provoke a question, and so a failure.
const quietTime = 10 * time.Second

// A health remembers, for each operation, the last failure, and logs when it
// begins to fail and when it works again.
type health struct {
	logger *slog.Logger

	troubled atomic.Bool // an operation failed, or is said to; changed with mu held

	mu         sync.Mutex
	operations map[string]*operation
}

type operation struct {
	last   error
	said   bool // that it fails, in the log
	saidAt time.Time
}

func newHealth(logger *slog.Logger) *health {
	return &health{logger: logger, operations: map[string]*operation{}}
}

// note records the outcome of what is called name. Where all goes well it takes no
// lock and reads no clock.
func (h *health) note(name string, err error) {
	if err != nil || h.troubled.Load() {
		h.noteNews(name, err)
	}
}

// noteNews is note where something fails, or has failed.
func (h *health) noteNews(name string, err error) {
	if !h.tell(name, err) {
		return
	}
	if err != nil {
		h.say(slog.LevelError, "ticket keys: failing", "operation", name, "error", err)
	} else {
		h.say(slog.LevelInfo, "ticket keys: working again", "operation", name)
	}
}

// tell reports whether the outcome is news that is due.
func (h *health) tell(name string, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.operations[name]
	if o == nil {
		o = &operation{}
		h.operations[name] = o
	}
	o.last = err
	defer h.setTroubled()
	if o.said == (err != nil) {
		return false
	}
	now := time.Now()
	if now.Sub(o.saidAt) < quietTime {
		return false
	}
	o.said, o.saidAt = err != nil, now
	return true
}

func (h *health) setTroubled() {
	for _, o := range h.operations {
		if o.last != nil || o.said {
			h.troubled.Store(true)
			return
		}
	}
	h.troubled.Store(false)
}

// say logs. A handler that panics, or ends its goroutine, is the user's, and not let
// further.
func (h *health) say(level slog.Level, message string, args ...any) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		defer func() { _ = recover() }()
		h.logger.Log(context.Background(), level, message, args...)
	}()
	<-said
}

func (h *health) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []error
	for _, name := range slices.Sorted(maps.Keys(h.operations)) {
		all = append(all, h.operations[name].last)
	}
	return errors.Join(all...)
}
