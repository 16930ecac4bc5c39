package stek

/*
#include "table.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-stek/stek/backend"
	"github.com/go-stek/stek/ticketkey"
)

// A SharedTable is a key table in two files that servers in other processes map
// through libstek-preload.so: the keys, which servers only read, and the counts,
// which they write. One keystore writes to it.
type SharedTable struct {
	keys, counts *os.File
	address      *C.struct_stekc_table
	refused      []string
	secret       bool
}

// NewSharedTable makes a table in memory that has no name: processes get it by
// inheriting the files, which stay open in exec(3). Where the kernel grants it, the
// keys are in memory that the kernel itself does not map (memfd_secret(2)), unless that
// would take much of what a server may lock, as it counts as locked there. Else the files
// given to servers cannot be opened for writing.
func NewSharedTable() (*SharedTable, error) {
	t, err := newMemoryTable(C.stekc_leaves_room(C.stekc_keys_size()) != 0)
	if err != nil {
		t, err = newMemoryTable(false)
	}
	if err != nil {
		return nil, fmt.Errorf("make shared key table: %w", err)
	}
	return t, nil
}

func newMemoryTable(secret bool) (*SharedTable, error) {
	var wanted, keys, counts C.int
	if secret {
		wanted = 1
	}
	if result, err := C.stekc_table_files(wanted, &keys, &counts); result != 0 {
		return nil, err
	}
	t, err := SharedTableOf(os.NewFile(uintptr(keys), "stek-keys"), os.NewFile(uintptr(counts), "stek-counts"))
	if err != nil {
		return nil, err
	}
	t.secret = secret
	if !secret {
		err = t.Seal()
	}
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// Seal leaves this process's mapping as the only one that can write keys, and
// replaces the file by one that can only be read. It is for memory files
// (memfd_create(2)), before a server maps them.
func (t *SharedTable) Seal() error {
	const seals = unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(t.keys.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the keys: %w", err)
	}
	readOnly, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", t.keys.Fd()), unix.O_RDONLY, 0) // not closed by exec
	if err != nil {
		return fmt.Errorf("open the keys for reading: %w", err)
	}
	_ = t.keys.Close()
	t.keys = os.NewFile(uintptr(readOnly), "stek-keys")
	return nil
}

// ErrNotTable: a file holds something else than a key table or nothing.
var ErrNotTable = errors.New("it holds something else than a key table")

// SharedTableOf is the table in files that are open for reading and writing. It
// takes them over, also on an error. A table that is there is gone on with. Else
// a new one is begun, in files that are empty, or as long as a table and so a
// damaged one, or a table of another version; other files are ErrNotTable.
func SharedTableOf(keys, counts *os.File) (*SharedTable, error) {
	t := &SharedTable{keys: keys, counts: counts}
	if err := t.checkFiles(); err != nil {
		_ = keys.Close()
		_ = counts.Close()
		return nil, err
	}
	var refused C.uint
	result, err := C.stekc_table_open(C.int(keys.Fd()), C.int(counts.Fd()), C.STEK_WRITER, &t.address, &refused)
	if result == C.STEKC_OPEN_CLOCKS {
		err = errors.New("it was written in another time namespace, with other clocks: start the agent there, or remove the table and restart its servers")
	}
	if result != C.STEKC_OPENED {
		_ = keys.Close()
		_ = counts.Close()
		return nil, fmt.Errorf("map %s: %w", keys.Name(), err)
	}
	t.refused = refusedNames(refused)
	return t, nil
}

// checkFiles keeps files of others from being overwritten.
func (t *SharedTable) checkFiles() error {
	var first [8]byte
	n, _ := t.keys.ReadAt(first[:], 0)
	isTable := n == len(first) && binary.NativeEndian.Uint64(first[:])&^0xff == C.STEKC_TABLE_FAMILY
	for _, part := range []struct {
		file *os.File
		size C.size_t
	}{{t.keys, C.stekc_keys_size()}, {t.counts, C.stekc_counts_size()}} {
		info, err := part.file.Stat()
		if err != nil {
			return err
		}
		if size := info.Size(); !isTable && size != 0 && size != int64(part.size) {
			return fmt.Errorf("%s: %w: remove it, or choose another path", part.file.Name(), ErrNotTable)
		}
	}
	return nil
}

// Files are the two files, to be inherited. They belong to t.
func (t *SharedTable) Files() (keys, counts *os.File) { return t.keys, t.counts }

// Secret reports whether the keys are in memory that the kernel does not map.
func (t *SharedTable) Secret() bool { return t.secret }

// Close unmaps the table and closes the files. The keystore on it is closed
// first. What the table holds stays, as long as anybody has the files.
func (t *SharedTable) Close() error {
	if t.address != nil {
		C.stekc_table_forget(t.address)
		t.address = nil
	}
	return errors.Join(t.keys.Close(), t.counts.Close())
}

// regrow makes the files as long as they were, so that touching the mapping is
// no fault. What it fails at shows when the files are used.
func (t *SharedTable) regrow() {
	C.stekc_table_regrow(C.int(t.keys.Fd()), C.int(t.counts.Fd()))
}

// table is the C side of a keystore of source that publishes to t.
func (t *SharedTable) table(source backend.Source, health *health) (*table, error) {
	c := &table{keys: t.address, shared: t, refused: t.refused}
	c.useClock(source.Clock())
	adopter, ok := source.(backend.Adopter)
	if !ok {
		return c, nil
	}
	c.holdTime()
	var err error
	c.list(func(keys []C.struct_stek_key) {
		adopted := make([]ticketkey.Key, len(keys))
		for i := range keys {
			adopted[i] = keyOf(&keys[i])
		}
		err = adopter.Adopt(adopted, c.now())
	})
	// Keys that were damaged are no reason to have none.
	health.note("adopt the keys in the table", err)
	return c, nil
}

// keyOf is key without a copy of its secrets.
func keyOf(key *C.struct_stek_key) ticketkey.Key {
	size := int(key.key_size)
	return ticketkey.Key{
		Name:          nameOf(key),
		AESKey:        ticketkey.SecretOf(bytesOf(key.aes_key[:])[:size]),
		HMACKey:       ticketkey.SecretOf(bytesOf(key.hmac_key[:])[:size]),
		NotBefore:     timeOf(key.not_before, math.MinInt64),
		NotAfter:      timeOf(key.not_after, math.MaxInt64),
		DecryptUntil:  timeOf(key.decrypt_until, math.MaxInt64),
		AnyServerName: key.flags&C.STEK_KEY_ANY_NAME != 0,
	}
}

// timeOf is the opposite of nanoseconds.
func timeOf(t C.int64_t, open int64) time.Time {
	if int64(t) == open {
		return time.Time{}
	}
	return time.Unix(0, int64(t))
}
