package agent

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/go-stek/stek"
)

// CountsSuffix is what the path of a table's counts has after that of its keys, and
// lockSuffix what that of its lock has.
const (
	CountsSuffix = ".counts"
	lockSuffix   = ".lock"
)

// Access says who may use the files of a table.
type Access struct {
	Owner string      // name or number of a user; empty: who runs the agent
	Group string      // name or number of a group; empty: that of the agent
	Mode  os.FileMode // of the keys: 0600 or 0640, which is the default
}

// ErrUsage: what was asked for cannot be, whatever the files are.
var ErrUsage = errors.New("usage")

// DefaultMode lets the owner write the keys, and the group read them.
const DefaultMode os.FileMode = 0o640

// openFile opens the table at path, or makes it: two files on a file system in
// memory (tmpfs), rewritten in place and never replaced, since a server may have
// mapped them from outside a chroot that it is now in. The group that may read
// the keys may write the counts. Another agent at the same path is an error. The guard
// is closed after the table.
func openFile(path string, access Access) (*stek.SharedTable, *guard, error) {
	uid, gid, err := access.check(path)
	if err != nil {
		return nil, nil, err
	}
	lock, err := lockFor(path, uid)
	if err != nil {
		return nil, nil, err
	}
	shared, err := openLocked(path, uid, gid, access.Mode)
	if err != nil {
		_ = lock.Close()
		return nil, nil, err
	}
	_, counts := shared.Files()
	return shared, &guard{lock, watchSize(counts)}, nil
}

func openLocked(path string, uid, gid int, mode os.FileMode) (*stek.SharedTable, error) {
	keys, err := openInMemory(path, uid)
	if err != nil {
		return nil, err
	}
	counts, err := openInMemory(path+CountsSuffix, uid)
	if err != nil {
		_ = keys.Close()
		return nil, err
	}
	shared, err := stek.SharedTableOf(keys, counts)
	if err != nil {
		return nil, err
	}
	if err = give(keys, uid, gid, mode); err == nil {
		err = give(counts, uid, gid, mode|mode&0o040>>1)
	}
	if err != nil {
		_ = shared.Close()
		return nil, err
	}
	return shared, nil
}

// A guard keeps other agents from the files of a table, and their size what it is.
type guard struct {
	lock *os.File
	size *os.File // nil where the kernel watches no more files
}

func (g *guard) Close() error {
	if g.size != nil {
		_ = g.size.Close()
	}
	return g.lock.Close()
}

// lockFor locks the table at path against other agents. The lock is a file that nobody
// else can open: who can read a file can lock it against a writer.
func lockFor(path string, owner int) (*os.File, error) {
	file, err := openInMemory(path+lockSuffix, owner)
	if err != nil {
		return nil, err
	}
	if err = give(file, owner, -1, 0o600); err == nil {
		err = unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil, errors.New("another agent writes to it")
	}
	return nil, fmt.Errorf("lock it: %w", err)
}

// check looks at what was asked for, and returns the numbers of owner and group,
// -1 for none.
func (a *Access) check(path string) (uid, gid int, err error) {
	if a.Mode == 0 {
		a.Mode = DefaultMode
	}
	switch {
	case !filepath.IsAbs(path):
		return 0, 0, fmt.Errorf("%w: it must be an absolute path, since servers open it from another folder", ErrUsage)
	case strings.HasSuffix(path, CountsSuffix):
		return 0, 0, fmt.Errorf("%w: %s is the end of the names of files with counts", ErrUsage, CountsSuffix)
	case strings.HasSuffix(path, lockSuffix):
		return 0, 0, fmt.Errorf("%w: %s is the end of the names of locks", ErrUsage, lockSuffix)
	case a.Mode&^DefaultMode != 0:
		return 0, 0, fmt.Errorf("%w: mode %04o lets others at the keys, it is at most %04o", ErrUsage, a.Mode, DefaultMode)
	case a.Mode&0o600 != 0o600:
		return 0, 0, fmt.Errorf("%w: mode %04o keeps the agent from its own table, it is at least 0600", ErrUsage, a.Mode)
	}
	uid, err = number(a.Owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("%w: owner: %w", ErrUsage, err)
	}
	gid, err = number(a.Group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return uid, gid, nil
}

// number is the number of a user or group that is given by number or by name.
func number(name string, look func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil && n < 1<<32-1 {
		return int(n), nil
	}
	digits, err := look(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(digits)
}

// Inherited is the table in two open memory files of this process. It seals them:
// servers that map them from then on cannot write keys.
func Inherited(keys, counts int) (*stek.SharedTable, error) {
	files := []*os.File{os.NewFile(uintptr(keys), "keys"), os.NewFile(uintptr(counts), "counts")}
	for _, f := range files {
		if f == nil {
			return nil, fmt.Errorf("%w: fd:%d,%d are not two open files", ErrUsage, keys, counts)
		}
		if err := checkInMemory(int(f.Fd())); err != nil {
			return nil, fmt.Errorf("inherited %s: %w", f.Name(), err)
		}
	}
	shared, err := stek.SharedTableOf(files[0], files[1])
	if err != nil {
		return nil, err
	}
	if err := shared.Seal(); err != nil {
		_ = shared.Close()
		return nil, err
	}
	return shared, nil
}

// openInMemory opens or makes a file that nobody but root, this user and the
// owner to be can have prepared.
func openInMemory(path string, owner int) (*os.File, error) {
	if err := checkFolder(filepath.Dir(path), owner); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := checkFile(f, owner); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func checkInMemory(fd int) error {
	var system unix.Statfs_t
	if err := unix.Fstatfs(fd, &system); err != nil {
		return fmt.Errorf("look at its file system: %w", err)
	}
	if system.Type != unix.TMPFS_MAGIC && system.Type != unix.RAMFS_MAGIC && system.Type != unix.SECRETMEM_MAGIC {
		return errors.New("it is on a disk, where keys must not be: use a folder of its own on a tmpfs, such as /run/stek")
	}
	return nil
}

func checkFolder(path string, owner int) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := checkInMemory(int(folder.Fd())); err != nil {
		return err
	}
	info, err := folder.Stat()
	if err != nil {
		return err
	}
	if !trusted(ownerOf(info), owner) || (isOpen(info) && info.Mode()&os.ModeSticky == 0) {
		return replaceable(path)
	}
	return checkWay(path, owner)
}

func trusted(uid, owner int) bool { return uid == 0 || uid == os.Geteuid() || uid == owner }

func checkFile(f *os.File, owner int) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	status := info.Sys().(*syscall.Stat_t)
	if !info.Mode().IsRegular() || status.Nlink != 1 {
		return errors.New("it is not a file of its own")
	}
	if !trusted(int(status.Uid), owner) || info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("it was made by others: its owner is user %d and its mode %04o", status.Uid, info.Mode().Perm())
	}
	return nil
}

func give(f *os.File, uid, gid int, mode os.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	status := info.Sys().(*syscall.Stat_t)
	if (uid >= 0 && int(status.Uid) != uid) || (gid >= 0 && int(status.Gid) != gid) {
		if err := f.Chown(uid, gid); err != nil {
			return err
		}
	}
	return f.Chmod(mode)
}
