package supervise

/*
#cgo CFLAGS: -std=c11 -Wall -Wextra -Werror
#include "ignored.h"
*/
import "C"

import (
	"os"
	"slices"
	"syscall"
)

// ignoredAtStart is every signal that this process was told to ignore, as by
// nohup(1), by a shell for what it puts into the background, or by systemd for
// SIGPIPE. SIGCHLD is not among them: who ignores it learns of no child.
func ignoredAtStart() []os.Signal {
	set := uint64(C.supervise_ignored())
	var ignored []os.Signal
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if set&(1<<(s-1)) != 0 && s != syscall.SIGCHLD && s != syscall.SIGURG {
			ignored = append(ignored, s)
		}
	}
	return ignored
}

// without is list without the signals in others.
func without(list, others []os.Signal) []os.Signal {
	return slices.DeleteFunc(slices.Clone(list), func(s os.Signal) bool { return slices.Contains(others, s) })
}
