package doctor

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPrivilegesBlockWhoeverGainsThem(t *testing.T) {
	for _, tt := range []struct {
		name string
		file privileges
		uid  int
		want []Severity
	}{
		{"plain file", privileges{}, 1000, nil},
		{"setuid root, started by a user", privileges{setuid: true}, 1000, []Severity{Blocks}},
		{"setuid root, started by root", privileges{setuid: true}, 0, []Severity{Note}},
		{"setgid", privileges{setgid: true, group: 42}, 0, []Severity{Blocks}},
		{"capabilities, started by a user", privileges{capabilities: true}, 1000, []Severity{Blocks}},
		{"capabilities, started by root", privileges{capabilities: true}, 0, []Severity{Note}},
	} {
		var got []Severity
		for _, f := range tt.file.judge("/srv/server", tt.uid, 0) {
			got = append(got, f.Severity)
		}
		require.Equal(t, tt.want, got, tt.name)
	}
}

func TestSetuidAndCapabilitiesAreReadFromTheFile(t *testing.T) {
	program := build(t, "server", "-lssl", "-lcrypto")
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(program, 65534, -1))
	}
	require.NoError(t, os.Chmod(program, 0o755|os.ModeSetuid))
	f := finding(t, examine(t, program), "setuid")
	require.Equal(t, "chmod u-s "+program, f.Change)
	if os.Getuid() != 0 {
		require.Equal(t, Note, f.Severity) // our own file gives us nothing
		return                             // only root can go on
	}
	require.Equal(t, Blocks, f.Severity)

	// struct vfs_cap_data of linux/capability.h, revision 2 with the effective
	// bit: CAP_NET_BIND_SERVICE permitted.
	caps := make([]byte, 20)
	binary.LittleEndian.PutUint32(caps, 0x02000001)
	binary.LittleEndian.PutUint32(caps[4:], 1<<10)
	require.NoError(t, os.Chmod(program, 0o755))
	require.NoError(t, unix.Setxattr(program, "security.capability", caps, 0))
	f = finding(t, examine(t, program), "file-capabilities")
	require.Equal(t, Note, f.Severity)
	require.Contains(t, f.Title, "LD_PRELOAD works only for root")
}
