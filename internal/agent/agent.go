// Package agent is a keystore with a shared table, as stek run and stek agent
// have it: it publishes, answers stek status, and ends in order.
package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/internal/backends"
)

// A Table is a shared table and the keystore that writes to it. Its methods are
// safe for concurrent use.
type Table struct {
	*stek.Keystore
	Shared *stek.SharedTable
	path   string // empty for a table in memory
	store  string // the scheme of the store's URI; the rest may hold a password
}

// Open starts a keystore for the store at uri on shared, which it takes over,
// also on an error. path is the file of shared, or empty. A URI that cannot be
// understood is a *backends.URIError.
func Open(uri, path string, shared *stek.SharedTable, logger *slog.Logger) (*Table, error) {
	source, err := backends.Open(uri)
	if err == nil {
		var keys *stek.Keystore
		if keys, err = stek.Open(source, stek.WithSharedTable(shared), stek.WithLogger(logger)); err == nil {
			scheme, _, _ := strings.Cut(uri, ":")
			return &Table{Keystore: keys, Shared: shared, path: path, store: scheme}, nil
		}
	}
	_ = shared.Close()
	if path != "" {
		err = fmt.Errorf("table %s: %w", path, err)
	}
	return nil, err
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
	return errors.Join(t.Keystore.Close(), t.Shared.Close())
}
