package interop

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server makes processes in more than one way: of these, only fork runs the
// handlers of pthread_atfork(3).
const childrenProgram = `
import os, ssl, subprocess
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
os.system("ls -l /proc/self/fd")
subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False)
subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, preexec_fn=lambda: None)
print("done", flush=True)
`

func TestProgramsOfAServerGetNoDescriptorMoreThanAlone(t *testing.T) {
	alone := descriptorsOfChildren(t, Alone{})
	require.NotEmpty(t, alone)
	for name, way := range map[string]Way{
		"stek run":                Run{},
		"stek agent":              StartAgent(t, "memory:", ""),
		"the preload's own agent": NewBare("memory:"),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, alone, descriptorsOfChildren(t, way))
		})
	}
}

var (
	descriptorLine = regexp.MustCompile(` (\d+ -> .*)$`)
	otherNumbers   = regexp.MustCompile(`(pipe:\[|/proc/)\d+`)
)

// descriptorsOfChildren returns what each child of the program has open,
// without the numbers that differ from run to run.
func descriptorsOfChildren(t *testing.T, way Way) (open []string) {
	t.Helper()
	requireProgram(t, python.Program, python.Package)
	script := newSite(t).write(t, "children.py", childrenProgram)
	p := Start(t, way.command(t, []string{python.Program, script}))
	Eventually(t, "all children have ended", func() bool { return p.Count(`^done$`) == 1 })
	for _, line := range p.Printed() {
		if match := descriptorLine.FindStringSubmatch(line); match != nil {
			open = append(open, otherNumbers.ReplaceAllString(match[1], "$1"))
		}
	}
	return open
}
