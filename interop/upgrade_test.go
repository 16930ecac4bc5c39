package interop

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// nginx can only be upgraded as a daemon, and hands on to its successor only the
// variables that its configuration names.
func TestTicketsOutliveAnUpgradeOfNginx(t *testing.T) {
	t.Parallel()
	requireProgram(t, nginx.Program, nginx.Package)
	site, agent := newSite(t), StartAgent(t, "memory:", "")
	args := append([]string{nginx.Program}, nginx.Configure(t, site)...)
	site.write(t, "nginx.conf", "env LD_PRELOAD;\nenv STEK_TABLE;\n"+strings.Replace(nginxConfig, "daemon off;", "", 1))
	<-Start(t, agent.command(t, args)).ended

	first := nginxDaemon(t, site, 0)
	ticket := map[uint16]*Ticket{}
	for _, version := range versions {
		ticket[version] = newClient(t, nginx, site, version).Visit(t, nil).Newest()
	}
	require.NoError(t, syscall.Kill(first, syscall.SIGUSR2))
	nginxDaemon(t, site, first)
	require.NoError(t, syscall.Kill(first, syscall.SIGQUIT))
	Eventually(t, "the old processes end", func() bool { return !alive(first) })

	for _, version := range versions {
		c := newClient(t, nginx, site, version)
		require.Equal(t, Reused, c.Visit(t, ticket[version]).Session)
		agent.Stek().Rotate(t)
		require.Equal(t, agent.Stek().Current(t), c.Visit(t, nil).KeyName())
	}
}

// nginxDaemon waits until the master is another than before, with workers, and
// returns it.
func nginxDaemon(t *testing.T, site *Site, before int) (master int) {
	t.Helper()
	Eventually(t, "nginx has workers", func() bool {
		master = pidIn(filepath.Join(site.Folder, "nginx.pid"))
		return master != 0 && master != before && len(nginxWorkers(master)) == nginxWorkerCount
	})
	t.Cleanup(func() { _ = syscall.Kill(master, syscall.SIGTERM) })
	return master
}

// pidIn is the process that a file names, 0 if there is none.
func pidIn(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
