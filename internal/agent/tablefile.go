package agent

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/go-stek/stek"
)

// CountsSuffix is what the path of a table's counts has after that of its keys.
const CountsSuffix = ".counts"

// Access says who may use the files of a table.
type Access struct {
	Owner string      // name or number of a user; empty: who runs the agent
	Group string      // name or number of a group; empty: that of the agent
	Mode  os.FileMode // of the keys: at most 0640, which is the default
}

// DefaultMode lets the owner write the keys, and the group read them.
const DefaultMode os.FileMode = 0o640

// OpenFile opens the table at path, or makes it: two files on a file system in
// memory (tmpfs), rewritten in place and never replaced, since a server may have
// mapped them from outside a chroot that it is now in. The group that may read
// the keys may write the counts. Another agent at the same path is an error.
func OpenFile(path string, access Access) (*stek.SharedTable, error) {
	shared, err := openFile(path, access)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", path, err)
	}
	return shared, nil
}

func openFile(path string, access Access) (*stek.SharedTable, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("it must be an absolute path: servers open it from another folder")
	}
	if access.Mode == 0 {
		access.Mode = DefaultMode
	}
	if access.Mode&^DefaultMode != 0 {
		return nil, fmt.Errorf("mode %04o lets others at the keys: it is at most %04o", access.Mode, DefaultMode)
	}
	uid, gid, err := access.ids()
	if err != nil {
		return nil, err
	}
	keys, err := openInMemory(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(keys.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = keys.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.New("another agent writes to it")
		}
		return nil, fmt.Errorf("lock it: %w", err)
	}
	counts, err := openInMemory(path + CountsSuffix)
	if err != nil {
		_ = keys.Close()
		return nil, err
	}
	countsMode := access.Mode | access.Mode&0o040>>1
	if err := errors.Join(give(keys, uid, gid, access.Mode), give(counts, uid, gid, countsMode)); err != nil {
		_ = keys.Close()
		_ = counts.Close()
		return nil, err
	}
	return stek.SharedTableOf(keys, counts)
}

// openInMemory opens or makes a file that others have not prepared.
func openInMemory(path string) (*os.File, error) {
	flags := os.O_RDWR | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := check(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func check(f *os.File) error {
	var system unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &system); err != nil {
		return fmt.Errorf("look at its file system: %w", err)
	}
	if system.Type != unix.TMPFS_MAGIC && system.Type != unix.RAMFS_MAGIC {
		return errors.New("it is on a disk, where keys must not be: use a tmpfs, such as /run or /dev/shm")
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !info.Mode().IsRegular() || !ok || status.Nlink != 1 {
		return errors.New("it is not a file of its own")
	}
	if uid := os.Geteuid(); int(status.Uid) != uid && uid != 0 {
		return fmt.Errorf("it belongs to user %d, and this is user %d", status.Uid, uid)
	}
	return nil
}

func give(f *os.File, uid, gid int, mode os.FileMode) error {
	if uid >= 0 || gid >= 0 {
		if err := f.Chown(uid, gid); err != nil {
			return err
		}
	}
	return f.Chmod(mode)
}

// ids are the numbers of owner and group, -1 for none.
func (a Access) ids() (uid, gid int, err error) {
	uid, gid = -1, -1
	if a.Owner != "" {
		if uid, err = strconv.Atoi(a.Owner); err != nil {
			u, err := user.Lookup(a.Owner)
			if err != nil {
				return 0, 0, err
			}
			if uid, err = strconv.Atoi(u.Uid); err != nil {
				return 0, 0, err
			}
		}
	}
	if a.Group != "" {
		if gid, err = strconv.Atoi(a.Group); err != nil {
			g, err := user.LookupGroup(a.Group)
			if err != nil {
				return 0, 0, err
			}
			if gid, err = strconv.Atoi(g.Gid); err != nil {
				return 0, 0, err
			}
		}
	}
	return uid, gid, nil
}
