package agent

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/go-stek/stek"
)

// A Status is what stek status shows of one process. It holds no secret.
type Status struct {
	PID     int           `json:"pid"`
	Command string        `json:"command"` // run or agent
	Version string        `json:"version"`
	Tables  []TableStatus `json:"tables"`
}

// A TableStatus is the keys and counts of one table.
type TableStatus struct {
	Table  string      `json:"table"` // its path, or "memory"
	Store  string      `json:"store"`
	Error  string      `json:"error,omitempty"` // why the last refresh failed
	Keys   []KeyStatus `json:"keys"`            // newest first
	Counts Counts      `json:"counts"`
}

// A KeyStatus is one key in force.
type KeyStatus struct {
	Name         string     `json:"name"` // 32 hexadecimal digits, the first bytes of its tickets
	State        string     `json:"state"`
	NotBefore    *time.Time `json:"not_before"`    // begins to encrypt; null: always
	NotAfter     *time.Time `json:"not_after"`     // ends to encrypt; null: never
	DecryptUntil *time.Time `json:"decrypt_until"` // is destroyed; null: never

	Issued           uint64 `json:"issued"`
	Renewed          uint64 `json:"renewed"`
	Accepted         uint64 `json:"accepted"`
	AcceptedPrevious uint64 `json:"accepted_previous"`
}

// Counts are those of a table since it was made; see stek.Stats.
type Counts struct {
	Issued            uint64 `json:"issued"`
	Renewed           uint64 `json:"renewed"`
	Accepted          uint64 `json:"accepted"`
	AcceptedPrevious  uint64 `json:"accepted_previous"`
	Unknown           uint64 `json:"unknown"`
	Expired           uint64 `json:"expired"`
	Declined          uint64 `json:"declined"`
	Limited           uint64 `json:"limited"`
	Aged              uint64 `json:"aged"`
	Refused           uint64 `json:"refused"`
	Unplaced          uint64 `json:"unplaced"`
	Misplaced         uint64 `json:"misplaced"`
	Marked            uint64 `json:"marked"`
	Errors            uint64 `json:"errors"`
	Contexts          uint64 `json:"contexts"`
	Displaced         uint64 `json:"displaced"`
	TicketsOff        uint64 `json:"tickets_off"`
	TicketsStateful   uint64 `json:"tickets_stateful"`
	TicketsNone13     uint64 `json:"tickets_none13"`
	TicketsForced     uint64 `json:"tickets_forced"`
	RefreshErrors     uint64 `json:"refresh_errors"`
	UnprotectedMemory uint64 `json:"unprotected_memory"`
}

// Status returns the status of t now.
func (t *Table) Status() TableStatus {
	s := TableStatus{Table: t.Name(), Store: t.store, Keys: []KeyStatus{}, Counts: countsOf(t.Stats())}
	if err := t.Err(); err != nil {
		s.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	shift := t.shift()
	for _, k := range t.Keys() {
		s.Keys = append(s.Keys, KeyStatus{
			Name:             hex.EncodeToString(k.Name[:]),
			State:            k.State.String(),
			NotBefore:        timeOrNull(k.NotBefore, shift),
			NotAfter:         timeOrNull(k.NotAfter, shift),
			DecryptUntil:     timeOrNull(k.DecryptUntil, shift),
			Issued:           k.Counts.Issued,
			Renewed:          k.Counts.Renewed,
			Accepted:         k.Counts.Accepted,
			AcceptedPrevious: k.Counts.AcceptedPrevious,
		})
	}
	return s
}

func countsOf(s stek.Stats) Counts {
	return Counts{
		Issued:            s.Issued,
		Renewed:           s.Renewed,
		Accepted:          s.Accepted,
		AcceptedPrevious:  s.AcceptedPrevious,
		Unknown:           s.Unknown,
		Expired:           s.Expired,
		Declined:          s.Declined,
		Limited:           s.Limited,
		Aged:              s.Aged,
		Refused:           s.Refused,
		Unplaced:          s.Unplaced,
		Misplaced:         s.Misplaced,
		Marked:            s.Marked,
		Errors:            s.Errors,
		Contexts:          s.Contexts,
		Displaced:         s.Displaced,
		TicketsOff:        s.TicketsOff,
		TicketsStateful:   s.TicketsStateful,
		TicketsNone13:     s.TicketsNone13,
		TicketsForced:     s.TicketsForced,
		RefreshErrors:     s.RefreshErrors,
		UnprotectedMemory: s.UnprotectedMemory,
	}
}

// shift is what the wall clock has been set by since the table was made, if its
// windows are meant by the boot clock, and by more than a second.
func (t *Table) shift() time.Duration {
	now := t.Now()
	shift := time.Since(now.High).Round(time.Second)
	if now.High != now.Low {
		return 0
	}
	return shift
}

func timeOrNull(t time.Time, shift time.Duration) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.Add(shift)
	return &t
}
