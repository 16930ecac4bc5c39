package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// IsMapped reports whether another process has the table mapped, as far as this
// process may look: those of its own user, or all for root.
func (t *Table) IsMapped() bool {
	keys, _ := t.Shared.Files()
	info, err := keys.Stat()
	if err != nil {
		return false
	}
	// proc_pid_maps(5): address, permissions, offset, device, inode, path.
	inode := fmt.Sprintf(" %d ", info.Sys().(*syscall.Stat_t).Ino)
	files, _ := filepath.Glob("/proc/[0-9]*/maps")
	own := fmt.Sprintf("/proc/%d/maps", os.Getpid())
	for _, file := range files {
		if file == own {
			continue
		}
		maps, _ := os.ReadFile(file)
		for line := range strings.Lines(string(maps)) {
			if strings.Contains(line, inode) && strings.Contains(line, "memfd:stek-keys") {
				return true
			}
		}
	}
	return false
}
