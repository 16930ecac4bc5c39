package interop

import (
	"crypto/rand"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// damages are what can happen to a table file. All keep the file itself. Where
// forGood is set, the preload has put something else in its place, and only a
// restart of the server brings stek's keys back.
var damages = []struct {
	name    string
	forGood bool
	do      func(t *testing.T, table string)
}{
	{"truncated", true, func(t *testing.T, table string) {
		require.NoError(t, os.Truncate(table, 0))
	}},
	{"zeroed", false, func(t *testing.T, table string) {
		overwrite(t, table, make([]byte, size(t, table)))
	}},
	{"of a future version", false, func(t *testing.T, table string) {
		content, err := os.ReadFile(table)
		require.NoError(t, err)
		overwrite(t, table, []byte{content[0] + 1})
	}},
	{"random", false, func(t *testing.T, table string) {
		content := make([]byte, size(t, table))
		_, _ = rand.Read(content)
		overwrite(t, table, content)
	}},
	{"unreadable", false, func(t *testing.T, table string) {
		require.NoError(t, os.Chmod(table, 0))
	}},
}

func TestServerServesWithATableThatIsDamagedAtStart(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			agent := agentForNobody(t)
			agent.Kill()
			damage.do(t, agent.Table)
			i := Serve(t, python, agent)
			for _, version := range versions {
				c := i.Client(t, version)
				c.Visit(t, c.Visit(t, nil).Newest())
			}
			require.Equal(t, 1, i.Count(`^stek: `), "%q", i.Printed())
		})
	}
}

func TestServerServesWithATableThatIsDamagedMeanwhile(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			agent := agentForNobody(t)
			i := Serve(t, python, agent)
			first := map[uint16]*Ticket{}
			for _, version := range versions {
				c := i.Client(t, version)
				first[version] = c.Visit(t, nil).Newest()
				require.Equal(t, Reused, c.Visit(t, first[version]).Session)
			}
			agent.Kill()
			for range 3 { // random bytes differ
				damage.do(t, agent.Table)
				for _, version := range versions {
					c := i.Client(t, version)
					c.Visit(t, first[version])
					c.Walk(t)
				}
			}
			if damage.forGood {
				return
			}
			agent.Restart(t)
			agent.Stek().Rotate(t)
			for _, version := range versions {
				require.Equal(t, agent.Stek().Current(t), i.Client(t, version).Visit(t, nil).KeyName())
			}
		})
	}
}

func TestServerServesWithCountsThatAreDamagedMeanwhile(t *testing.T) {
	t.Parallel()
	agent := agentForNobody(t)
	i := Serve(t, python, agent)
	for _, version := range versions {
		c := i.Client(t, version)
		ticket := c.Visit(t, nil).Newest()
		require.NoError(t, os.Truncate(agent.Table+".counts", 0))
		require.Equal(t, Reused, c.Visit(t, ticket).Session)
		require.Equal(t, agent.Stek().Current(t), c.Visit(t, nil).KeyName())
	}
}

// agentForNobody starts an agent for servers that start as user nobody, so that
// what a file's mode forbids is forbidden.
func agentForNobody(t *testing.T) *Agent {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	group, err := user.LookupGroupId(nobody.Gid)
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)

	agent := StartAgent(t, "memory:", group.Name)
	agent.As = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return agent
}

// overwrite replaces the first bytes of a file in place.
func overwrite(t *testing.T, file string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(content, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Positive(t, info.Size())
	return info.Size()
}
