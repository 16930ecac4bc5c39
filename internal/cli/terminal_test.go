package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A terminal is a pseudoterminal, and what was printed on it.
type terminal struct {
	t       *testing.T
	keys    *os.File
	mutex   sync.Mutex
	printed bytes.Buffer
}

// openTerminal runs a command as the first of a session on a new terminal.
func openTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR, 0)
	require.NoError(t, err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, screen.Close())
	term := &terminal{t: t, keys: keys}
	go func() {
		some := make([]byte, 4096)
		for {
			n, err := keys.Read(some)
			if err != nil {
				return
			}
			term.mutex.Lock()
			term.printed.Write(some[:n])
			term.mutex.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = keys.Close()
	})
	return term
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	_, err := term.keys.WriteString(keys)
	require.NoError(term.t, err)
}

func (term *terminal) text() string {
	term.mutex.Lock()
	defer term.mutex.Unlock()
	return term.printed.String()
}

func (term *terminal) await(text string) {
	term.t.Helper()
	eventually(term.t, "the terminal shows "+text, func() bool { return strings.Contains(term.text(), text) }, term.text)
}

func TestKeyboardReachesServerAndStekOnce(t *testing.T) {
	shell := exec.Command("bash", "--norc", "-i")
	shell.Env = append(os.Environ(), beStek, "PS1=ready ", "TERM=dumb")
	term := openTerminal(t, shell)
	script := filepath.Join(t.TempDir(), "server")
	require.NoError(t, os.WriteFile(script, []byte(
		"trap 'n=$((n+1)); echo interrupted $n times' INT\necho serving\nwhile :; do read -t 0.05 line; [ \"$line\" = end ] && exit 5; done\n"), 0o644))
	term.press(os.Args[0] + " run --preload " + preload + " -- bash " + script + "\n")
	term.await("serving")
	term.press("\x03")
	term.await("interrupted 1 times")
	term.press("\x1a") // Ctrl-Z
	term.await("Stopped")
	term.press("fg\n")
	term.await("fg\r\n" + os.Args[0]) // the shell says what it continues
	term.press("\x03")
	term.await("interrupted 2 times")
	term.press("end\n")
	term.press("echo exit $?\n")
	term.await("exit 5")
	require.NotContains(t, term.text(), "interrupted 3 times")
}

func TestFirstProcessOfATerminalForwardsSignals(t *testing.T) {
	cmd := exec.Command(os.Args[0], run("--", "bash", "-c", "trap 'echo told to quit; exit 6' QUIT; echo serving; while :; do sleep 0.05; done")...)
	cmd.Env = append(os.Environ(), beStek)
	term := openTerminal(t, cmd)
	term.await("serving")
	require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
	term.await("told to quit")
}
