package agent

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watchSize cuts file to the size that it has now whenever somebody has made it longer,
// until the watch is closed: who may write to a file could fill its file system. It is
// nil where the kernel watches no more files; the keystore then cuts the file within a
// minute.
func watchSize(file *os.File) *os.File {
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	watch := os.NewFile(uintptr(fd), "watch")
	if _, err := unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), unix.IN_MODIFY); err != nil {
		_ = watch.Close()
		return nil
	}
	go func() {
		events := make([]byte, 4096)
		for {
			if _, err := watch.Read(events); err != nil {
				return // closed
			}
			if now, err := file.Stat(); err == nil && now.Size() > info.Size() {
				_ = file.Truncate(info.Size())
			}
		}
	}()
	return watch
}
