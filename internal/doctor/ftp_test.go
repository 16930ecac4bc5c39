package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVsftpdWantsANameGroup(t *testing.T) {
	vsftpd := need(t, "vsftpd", "vsftpd")
	conf := testdata(t, "vsftpd", "vsftpd.conf")
	r := examine(t, vsftpd, conf)
	require.Equal(t, Good, r.Verdict(), text(t, r))
	f := finding(t, r, "data-connections")
	require.Equal(t, Note, f.Severity)
	require.Equal(t, "STEK_NAME_GROUP=ftp", f.Change)
	require.Empty(t, f.Places)
	require.Equal(t, []string{"command line:1 require_ssl_reuse=YES"}, places(finding(t, examine(t, vsftpd, conf, "-orequire_ssl_reuse=YES"), "data-connections")))

	require.Nil(t, examineWith(t, []string{"STEK_NAME_GROUP=one"}, vsftpd, conf).Find("data-connections"))
	require.Nil(t, examineBehind(t, "stek", "run", "--name-group", "one", "--", vsftpd, conf).Find("data-connections"))
	require.Nil(t, examineBehind(t, "stek", "run", "--name-group=one", "--", vsftpd, conf).Find("data-connections"))
	require.Nil(t, examine(t, vsftpd, conf, "-orequire_ssl_reuse=NO").Find("data-connections"))
	finding(t, examine(t, vsftpd, write(t, "none.conf", "listen=YES\n")), codeNoTLS)
	finding(t, examine(t, vsftpd, "/no/such/file"), "config-unreadable")
}

func TestProFTPDWantsANameGroup(t *testing.T) {
	proftpd := called(t, build(t, "nothing"), "proftpd")
	modules := t.TempDir()
	require.NoError(t, os.Rename(build(t, "stub", "-shared", "-fPIC", "-lssl"), filepath.Join(modules, "mod_tls.so")))
	conf := func(more string) string {
		return write(t, "proftpd.conf", "ModulePath "+modules+"\nLoadModule mod_tls.c\nInclude "+testdata(t, "proftpd", "conf.d")+"/\n"+more)
	}
	r := examine(t, proftpd, "-n", "-c", conf(""))
	require.Equal(t, Good, r.Verdict(), text(t, r))
	require.Contains(t, finding(t, r, "reachable").Detail, "mod_tls.so")
	require.Equal(t, "STEK_NAME_GROUP=ftp", finding(t, r, "data-connections").Change)
	require.Nil(t, examine(t, proftpd, "-c", conf("TLSOptions NoCertRequest NoSessionReuseRequired\n")).Find("data-connections"))
	require.Nil(t, examineWith(t, []string{"STEK_NAME_GROUP=one"}, proftpd, "-c", conf("")).Find("data-connections"))
	finding(t, examine(t, proftpd, "-c", write(t, "p.conf", "LoadModule mod_tls.c\n")), codeNoTLS)
}
