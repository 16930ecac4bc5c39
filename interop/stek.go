package interop

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Stek is a process of stek that has ticket keys: stek run, stek agent, or
// the agent that the preload starts.
type Stek struct{ pid func() int }

// A Table is what stek status says of one table.
type Table struct {
	Table  string         `json:"table"`
	Store  string         `json:"store"`
	Keys   []Key          `json:"keys"`
	Counts map[string]int `json:"counts"`
}

// A Key is what stek status says of one ticket key.
type Key struct {
	Name         string    `json:"name"`
	State        string    `json:"state"`
	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
	DecryptUntil time.Time `json:"decrypt_until"`
	Issued       int       `json:"issued"`
	Renewed      int       `json:"renewed"`
	Accepted     int       `json:"accepted"`
	Previous     int       `json:"accepted_previous"`
}

type status struct {
	Agents []struct {
		PID     int     `json:"pid"`
		Command string  `json:"command"`
		Tables  []Table `json:"tables"`
	} `json:"agents"`
}

// Try asks for the table of the process.
func (s *Stek) Try(t *testing.T) (Table, error) {
	t.Helper()
	out, err := stekCommand(t, "status", "--json", fmt.Sprint(s.pid())).Output()
	if err != nil {
		return Table{}, err
	}
	var all status
	if err := json.Unmarshal(out, &all); err != nil {
		return Table{}, fmt.Errorf("read %q: %w", out, err)
	}
	if len(all.Agents) != 1 || len(all.Agents[0].Tables) != 1 {
		return Table{}, fmt.Errorf("want one agent with one table: %s", out)
	}
	return all.Agents[0].Tables[0], nil
}

// Status returns the table of the process.
func (s *Stek) Status(t *testing.T) Table {
	t.Helper()
	table, err := s.Try(t)
	require.NoError(t, err)
	return table
}

// Current is the name of the key that encrypts.
func (s *Stek) Current(t *testing.T) string {
	t.Helper()
	table := s.Status(t)
	for _, key := range table.Keys {
		if key.State == "current" {
			return key.Name
		}
	}
	require.Fail(t, "no key is current", "%+v", table)
	return ""
}

// Has tells whether a key is known.
func (s *Stek) Has(t *testing.T, name string) bool {
	t.Helper()
	for _, key := range s.Status(t).Keys {
		if key.Name == name {
			return true
		}
	}
	return false
}

// Rotate makes a fresh key current.
func (s *Stek) Rotate(t *testing.T) {
	t.Helper()
	before := s.Current(t)
	out, err := stekCommand(t, "rotate", fmt.Sprint(s.pid())).CombinedOutput()
	require.NoError(t, err, "%s", out)
	Eventually(t, "a fresh key is current", func() bool { return s.Current(t) != before })
}

// Revoke destroys all keys, within a second.
func (s *Stek) Revoke(t *testing.T) {
	t.Helper()
	began := time.Now()
	out, err := stekCommand(t, "revoke", fmt.Sprint(s.pid())).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Less(t, time.Since(began), time.Second)
	require.Len(t, s.Status(t).Keys, 1)
}

func stekCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built(t).stek, args...)
	cmd.Env = plainEnvironment()
	return cmd
}
