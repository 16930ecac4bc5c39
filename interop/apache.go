package interop

import (
	"strings"
	"syscall"
	"testing"
)

// apachePrefork reaches libssl through a module, reads its configuration twice,
// and shakes hands in forked children.
var apachePrefork = apacheServer("prefork", `
ServerLimit 3
StartServers 3
MaxRequestWorkers 3
`)

// apacheEvent is Apache with threads in forked children.
var apacheEvent = apacheServer("event", `
ServerLimit 2
StartServers 2
ThreadsPerChild 8
MaxRequestWorkers 16
MinSpareThreads 16
MaxSpareThreads 32
`)

func apacheServer(mpm, workers string) *Server {
	return &Server{
		Name:       "Apache " + mpm,
		Package:    "apache2",
		Program:    "/usr/sbin/apache2",
		Dialect:    overHTTP,
		Changed:    "`SSLSessionTickets off` removed: Debian switches tickets off",
		TicketsOff: true,
		Configure: func(t *testing.T, s *Site) []string {
			s.folder(t, "www")
			s.write(t, "www/index.html", "ok\n")
			tickets := "on"
			if s.TicketsOff {
				tickets = "off"
			}
			config := strings.NewReplacer("MPM", mpm, "WORKERS", workers, "TICKETS", tickets).Replace(apacheConfig)
			return []string{"-DFOREGROUND", "-f", s.write(t, "apache2.conf", config)}
		},
		Workers: children,
		Reload:  signalled(syscall.SIGUSR1),
	}
}

// As Debian's ssl.conf and default-ssl.conf, in one file.
const apacheConfig = `
LoadModule mpm_MPM_module /usr/lib/apache2/modules/mod_mpm_MPM.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
ServerRoot FOLDER
DefaultRuntimeDir FOLDER
PidFile FOLDER/apache2.pid
User www-data
Group www-data
ServerName localhost
Listen ADDR
ErrorLog /dev/stderr
LogLevel warn
WORKERS
SSLSessionCache shmcb:FOLDER/ssl_scache(512000)
SSLSessionCacheTimeout 300
SSLCipherSuite HIGH:!aNULL
SSLProtocol all -SSLv3
SSLSessionTickets TICKETS
<VirtualHost ADDR>
	DocumentRoot FOLDER/www
	<Directory FOLDER/www>
		Require all granted
	</Directory>
	SSLEngine on
	SSLCertificateFile FOLDER/cert.pem
	SSLCertificateKeyFile FOLDER/key.pem
</VirtualHost>
`
