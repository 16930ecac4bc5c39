package interop

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// vsftpd wants a data connection to resume the session of its control connection.
var vsftpd = &Server{
	Name:    "vsftpd",
	Package: "vsftpd",
	Program: "/usr/sbin/vsftpd",
	Configure: func(t *testing.T, s *Site) []string {
		s.folder(t, "www")
		s.folder(t, "empty")
		s.write(t, "www/index.html", "ok\n")
		return []string{s.write(t, "vsftpd.conf", `listen=YES
listen_address=127.0.0.1
listen_port=PORT
background=NO
seccomp_sandbox=NO
anonymous_enable=YES
no_anon_password=YES
anon_root=FOLDER/www
secure_chroot_dir=FOLDER/empty
ssl_enable=YES
ssl_tlsv1=YES
ssl_ciphers=HIGH
allow_anon_ssl=YES
force_anon_data_ssl=YES
rsa_cert_file=FOLDER/cert.pem
rsa_private_key_file=FOLDER/key.pem
xferlog_enable=NO
`)}
	},
}

// ftpsClient fetches a file twice. It sends a server name on the control connection,
// and on data connections if it is told so.
const ftpsClient = `
import ftplib, ssl, sys
port, version, named = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "named"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

class Client(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        name = "localhost" if named else None
        return context.wrap_socket(connection, server_hostname=name, session=self.sock.session), size

client = Client(context=context)
client.connect("127.0.0.1", port, timeout=10)
client.host = "localhost"
client.login("anonymous", "x")
client.prot_p()
for i in range(2):
    try:
        client.retrbinary("RETR index.html", lambda data: None)
        print("fetched")
    except ftplib.Error as error:
        print(error)
        break
`

func TestDataConnectionsOfFTPResumeUnderANameGroup(t *testing.T) {
	const refused = "522 SSL connection failed: session reuse required\n"
	for name, tt := range map[string]struct {
		way     Way
		unnamed string // what a client sees that names the server on the control connection alone
	}{
		"alone":        {Alone{}, "fetched\nfetched\n"},
		"with stek":    {Run{}, refused},
		"a name group": {Run{NameGroup: "ftp"}, "fetched\nfetched\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := Serve(t, vsftpd, tt.way)
			for _, version := range []string{"TLSv1_2", "TLSv1_3"} {
				for names, want := range map[string]string{"named": "fetched\nfetched\n", "unnamed": tt.unnamed} {
					out, err := exec.Command("python3", "-c", ftpsClient, fmt.Sprint(i.Site.Port), version, names).CombinedOutput()
					require.NoError(t, err, string(out))
					require.Equal(t, want, string(out), "%s, %s", version, names)
				}
			}
		})
	}
}
