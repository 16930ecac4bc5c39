// Package agent is a keystore with a shared table, as stek run and stek agent
// have it: it publishes, answers stek status, and ends in order.
package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/backend"
)

// A Table is a shared table and the keystore that writes to it. Its methods are
// safe for concurrent use.
type Table struct {
	*stek.Keystore
	Shared *stek.SharedTable
	path   string // empty for a table in memory
	store  string
	guard  *guard // of the file, or nil
}

// Open starts a keystore of source on shared, and takes both over, also on an
// error. path is the file of shared, or empty; store is the scheme of its URI.
func Open(source backend.Source, store, path string, shared *stek.SharedTable, logger *slog.Logger) (*Table, error) {
	keys, err := stek.Open(source, stek.WithSharedTable(shared), stek.WithLogger(logger))
	if err == nil {
		return &Table{Keystore: keys, Shared: shared, path: path, store: store}, nil
	}
	_ = shared.Close()
	if path != "" {
		err = fmt.Errorf("table %s: %w", path, err)
	}
	return nil, err
}

// OpenAt is Open on the table at a path, which it makes if there is none.
func OpenAt(source backend.Source, store, path string, access Access, logger *slog.Logger) (*Table, error) {
	shared, guard, err := openFile(path, access)
	if err != nil {
		_ = source.Close()
		return nil, fmt.Errorf("table %s: %w", path, err)
	}
	t, err := Open(source, store, path, shared, logger)
	if err != nil {
		_ = guard.Close()
		return nil, err
	}
	t.guard = guard
	return t, nil
}

// Err is why keys are not refreshed, or do not reach servers that start now.
func (t *Table) Err() error {
	err := t.Keystore.Err()
	if t.path == "" {
		return err
	}
	keys, _ := t.Shared.Files()
	ours, statErr := keys.Stat()
	if statErr != nil {
		return errors.Join(err, statErr)
	}
	if there, statErr := os.Lstat(t.path); statErr != nil || !os.SameFile(ours, there) {
		err = errors.Join(err, errors.New("its file was removed or replaced: servers that start now do not find it; restart the agent and the servers"))
	}
	return err
}

// Name is the path of the table, or "memory".
func (t *Table) Name() string {
	if t.path == "" {
		return "memory"
	}
	return t.path
}

// Close ends the keystore. Servers go on with the keys that are in the table, to
// the end of their windows.
func (t *Table) Close() error {
	err := errors.Join(t.Keystore.Close(), t.Shared.Close())
	if t.guard != nil {
		err = errors.Join(err, t.guard.Close())
	}
	return err
}
