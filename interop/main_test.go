package interop

import (
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	// Servers mostly wait. More at once would only slow handshakes down.
	_ = flag.Set("test.parallel", "4")

	var err error
	if scratch, err = os.MkdirTemp("", "stek-interop-"); err == nil {
		err = os.Chmod(scratch, 0o755)
	}
	if err == nil {
		// Whatever loses its parent becomes a child of the tests.
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)

	result := m.Run()
	if left := leftOver(); len(left) > 0 {
		for _, process := range left {
			fmt.Fprintf(os.Stderr, "process %d is left: %s\n", process, commandLine(process))
			_ = syscall.Kill(process, syscall.SIGKILL)
		}
		result = max(result, 1)
	}
	if result == 0 {
		if err := publish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return result
}

// leftOver returns the processes that do not end when the tests have.
func leftOver() []int {
	for deadline := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		for pid := 1; pid > 0; { // those that had lost their parent
			pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		}
		left := descendants(os.Getpid())
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// publish prints the table, or writes it to the file that STEK_COMPATIBILITY
// names. It does nothing unless all rows have been tested.
func publish() error {
	table, complete := report.Table()
	if !complete {
		return nil
	}
	if file := os.Getenv("STEK_COMPATIBILITY"); file != "" {
		return os.WriteFile(file, []byte(table), 0o644)
	}
	fmt.Print(table)
	return nil
}
