package agent

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// mostLinks is how many symbolic links on one way the kernel follows.
const mostLinks = 40

// checkWay walks along an absolute path, links included. It is an error if others than
// root, this user and owner can put another folder in the place of one on the way:
// servers would then find a table of theirs. Servers look at the way too
// (preload/path.c).
func checkWay(path string, owner int) error {
	folder, err := os.Lstat("/")
	at, rest, links := "", path, 0
	for err == nil {
		var name string
		name, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
		if name == "" {
			return nil
		}
		next := at + "/" + name
		var entry os.FileInfo
		if entry, err = os.Lstat(next); err != nil {
			break
		}
		if !mayHold(folder, entry, owner) {
			return replaceable(path)
		}
		if entry.Mode()&os.ModeSymlink == 0 {
			at, folder = next, entry
			continue
		}
		if links++; links > mostLinks {
			return fmt.Errorf("open %s: %w", path, syscall.ELOOP)
		}
		var target string
		if target, err = os.Readlink(next); err != nil {
			break
		}
		if !strings.HasPrefix(target, "/") {
			target = at + "/" + target
		}
		at, rest = "", target+"/"+rest // once more from the root folder
		folder, err = os.Lstat("/")
	}
	return err
}

// mayHold reports whether no others can have put entry into folder. Where the sticky
// bit is set they cannot remove or rename what is not theirs.
func mayHold(folder, entry os.FileInfo, owner int) bool {
	if isOpen(folder) && folder.Mode()&os.ModeSticky == 0 {
		return false
	}
	return trusted(ownerOf(entry), owner) || ownerOf(entry) == ownerOf(folder)
}

func replaceable(folder string) error {
	return fmt.Errorf("others may replace files in %s: it and the folders above it are to be root's or the table owner's, and writable by nobody else", folder)
}

// isOpen reports whether others than the owner can write to folder.
func isOpen(folder os.FileInfo) bool { return folder.Mode().Perm()&0o022 != 0 }

func ownerOf(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
