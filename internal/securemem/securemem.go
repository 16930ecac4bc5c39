// Package securemem gives memory for secrets: outside the Go heap, between
// guard pages, locked, left out of core dumps and wiped in a forked child.
package securemem

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Buffer is memory for secrets. It is not safe for concurrent use.
type Buffer struct {
	mapping []byte
	bytes   []byte
	refused []string
}

// New returns a Buffer of size zero bytes. Protections that the system does not
// grant are listed by Refused; only a mapping that cannot be made is an error.
func New(size int) (*Buffer, error) {
	page := os.Getpagesize()
	body := (size + page - 1) / page * page
	mapping, err := unix.Mmap(-1, 0, body+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for secrets: %w", size, err)
	}
	inner := mapping[page : page+body]
	if err := unix.Mprotect(inner, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		_ = unix.Munmap(mapping)
		return nil, fmt.Errorf("open %d bytes for secrets: %w", size, err)
	}
	b := &Buffer{mapping: mapping, bytes: inner[:size:size]}
	b.note("mlock", unix.Mlock(inner))
	b.note("MADV_DONTDUMP", unix.Madvise(inner, unix.MADV_DONTDUMP))
	b.note("MADV_WIPEONFORK", unix.Madvise(inner, unix.MADV_WIPEONFORK))
	return b, nil
}

func (b *Buffer) note(protection string, err error) {
	if err != nil {
		b.refused = append(b.refused, protection)
	}
}

// Bytes returns the memory. It must not be used after Free.
func (b *Buffer) Bytes() []byte { return b.bytes }

// Refused lists the protections that the system did not grant.
func (b *Buffer) Refused() []string { return b.refused }

// Free wipes the memory and gives it back. A second call does nothing.
func (b *Buffer) Free() {
	if b.mapping == nil {
		return
	}
	Wipe(b.bytes)
	_ = unix.Munmap(b.mapping)
	b.mapping, b.bytes = nil, nil
}

// Wipe overwrites b with zeros.
func Wipe(b []byte) {
	clear(b)
	runtime.KeepAlive(b)
}

// Random fills b from the operating system's generator. Unlike crypto/rand it
// reports a failure instead of ending the process.
func Random(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Getrandom(b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("getrandom: %w", err)
		}
		b = b[n:]
	}
	return nil
}
