package doctor

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A place is the file system a server sees.
type place struct {
	root string // "" for ours, /proc/PID/root for that of a container
	dir  string // the current directory, for relative names
}

// Limits for files that somebody else wrote.
const (
	maxConfig  = 16 << 20
	maxProgram = 1 << 30
	maxFiles   = 2000 // configuration files read for one server
)

// abs returns the absolute name of path inside the place.
func (p place) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(p.dir, path)
}

// open opens a regular file. A symbolic link in a container leads to a file of
// the container, never to one of ours.
func (p place) open(path string) (*os.File, error) {
	path = p.abs(path)
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	var fd int
	var err error
	if p.root == "" {
		fd, err = unix.Open(path, flags, 0)
	} else {
		var rootFD int
		if rootFD, err = unix.Open(p.root, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
			how := unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_IN_ROOT}
			fd, err = unix.Openat2(rootFD, strings.TrimPrefix(path, "/"), &how)
			unix.Close(rootFD)
		}
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = fmt.Errorf("open %s: not a regular file", path)
		}
		return nil, err
	}
	return f, nil
}

// read returns the whole file, or an error if it is longer than limit.
func (p place) read(path string, limit int64) ([]byte, error) {
	f, err := p.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: longer than %d bytes", path, limit)
	}
	return data, nil
}

// lines returns the lines of a configuration file, without their ends.
func (p place) lines(path string) ([]string, error) {
	data, err := p.read(path, maxConfig)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"), nil
}

func (p place) isFile(path string) bool {
	f, err := p.open(path)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// glob returns the files that pattern matches, sorted.
func (p place) glob(pattern string) []string {
	found, _ := filepath.Glob(p.root + p.abs(pattern))
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], p.root)
	}
	slices.Sort(found)
	return found
}

// real returns path with symbolic links followed, as far as that is ours to do.
func (p place) real(path string) string {
	path = p.abs(path)
	if p.root != "" {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
