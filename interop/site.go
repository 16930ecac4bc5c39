package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// scratch holds the sites of all tests. Every user may enter it.
var scratch string

// A Site is what the configuration of one server refers to. It outlives a
// restart, so that the second process serves what the first did.
type Site struct {
	Folder     string // of its own; every user may enter it
	Port       int
	TicketsOff bool // by the server's own setting
}

// Addr is where the server listens.
func (s *Site) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// newSite returns a site with a certificate and a free port.
func newSite(t *testing.T) *Site {
	t.Helper()
	s := &Site{Folder: newFolder(t, scratch), Port: freePort(t)}
	for name, content := range certificate(t) {
		s.write(t, name, string(content))
	}
	return s
}

// write writes a file of the site and returns its path. FOLDER, PORT and ADDR
// in the content stand for those of the site.
func (s *Site) write(t *testing.T, name, content string) (path string) {
	t.Helper()
	content = strings.NewReplacer(
		"FOLDER", s.Folder,
		"PORT", fmt.Sprint(s.Port),
		"ADDR", s.Addr(),
	).Replace(content)
	path = filepath.Join(s.Folder, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// folder makes a folder of the site that every user may enter.
func (s *Site) folder(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(s.Folder, name), 0o755))
}

// newFolder makes a folder below parent until the test ends.
func newFolder(t *testing.T, parent string) string {
	t.Helper()
	folder, err := os.MkdirTemp(parent, "site-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755))
	return folder
}

var ports struct {
	sync.Mutex
	given map[int]bool
}

// freePort returns a port that nobody listens on, below those that the kernel
// gives to clients, and never the same one twice.
func freePort(t *testing.T) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = map[int]bool{}
	}
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if ports.given[port] {
			continue
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		listener.Close()
		ports.given[port] = true
		return port
	}
	require.Fail(t, "no port is free")
	return 0
}
