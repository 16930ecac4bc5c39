package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An authority issues certificates to clients.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{key, cert}
}

// issue makes a certificate for a client.
func (a authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "client of " + a.cert.Subject.CommonName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// A verifying server listens twice: at the site's address it asks for no certificate, and
// at closed it requires one.
type verifying struct {
	*Server
	configure func(config string) string // adds the second listener, CLOSED, to a configuration
	file      string
}

func replaced(old, new string) func(string) string {
	return func(config string) string {
		if !strings.Contains(config, old) {
			panic("the configuration has no " + old)
		}
		return strings.Replace(config, old, new, 1)
	}
}

var verifyingServers = []verifying{
	{Server: nginx, file: "nginx.conf", configure: replaced("\tserver {\n", `	server {
		listen CLOSED ssl;
		server_name localhost;
		ssl_certificate FOLDER/cert.pem;
		ssl_certificate_key FOLDER/key.pem;
		ssl_client_certificate FOLDER/ca.pem;
		ssl_verify_client on;
		location / { return 200 "ok\n"; }
	}
	server {
`)},
	{Server: haproxy, file: "haproxy.cfg", configure: replaced("frontend tls\n", `frontend closed
	bind CLOSED ssl crt FOLDER/both.pem ca-file FOLDER/ca.pem verify required
	http-request return status 200 content-type text/plain string ok
frontend tls
`)},
	{Server: apachePrefork, file: "apache2.conf", configure: replaced("<VirtualHost", `Listen CLOSED
<VirtualHost CLOSED>
	DocumentRoot FOLDER/www
	<Directory FOLDER/www>
		Require all granted
	</Directory>
	SSLEngine on
	SSLCertificateFile FOLDER/cert.pem
	SSLCertificateKeyFile FOLDER/key.pem
	SSLCACertificateFile FOLDER/ca.pem
	SSLVerifyClient require
</VirtualHost>
<VirtualHost`)},
	{Server: python, file: "server.py", configure: replaced("server = http.server.Threading", `def serve(port, verify):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("FOLDER/cert.pem", "FOLDER/key.pem")
    if verify:
        context.load_verify_locations("FOLDER/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()

import threading
threading.Thread(target=serve, args=(int("CLOSED".split(":")[1]), True), daemon=True).start()
server = http.server.Threading`)},
}

// serveClients starts a server with both listeners, for clients of that authority.
func serveClients(t *testing.T, v verifying, a authority, way Way) (i *Instance, closed string) {
	t.Helper()
	site := newSite(t)
	closed = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	site.write(t, "ca.pem", a.pem())
	server := *v.Server
	server.Configure = func(t *testing.T, s *Site) []string {
		args := v.Server.Configure(t, s)
		path := filepath.Join(s.Folder, v.file)
		config, err := os.ReadFile(path)
		require.NoError(t, err)
		s.write(t, v.file, strings.ReplaceAll(v.configure(string(config)), "CLOSED", closed))
		return args
	}
	return ServeSite(t, &server, site, way), closed
}

// At is the client when it visits another address.
func (c Client) At(addr string) Client {
	c.addr = addr
	return c
}

// Showing is the client when it has a certificate.
func (c Client) Showing(certificate tls.Certificate) Client {
	c.config = c.config.Clone()
	c.config.Certificates = []tls.Certificate{certificate}
	return c
}

// Alone and with stek: a ticket of a listener that asks for no certificate is worth nothing
// at one that requires it.
func TestTicketOfAnOpenListenerOpensNoOther(t *testing.T) {
	for _, v := range verifyingServers {
		for name, way := range map[string]Way{"alone": Alone{}, "with stek": Run{}, "with a label": Run{ClientAuth: "x"}} {
			t.Run(v.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				a := newAuthority(t, "ca")
				i, closed := serveClients(t, v, a, way)
				for _, version := range versions {
					c := i.Client(t, version)
					_, err := c.At(closed).Try(nil)
					require.Error(t, err, "a full handshake without a certificate")
					opened := c.Visit(t, nil)
					require.Equal(t, Reused, c.Visit(t, c.Visit(t, nil).Newest()).Session)
					_, err = c.At(closed).Try(opened.Newest())
					require.Error(t, err, "%s: the ticket of the open listener", tls.VersionName(version))
					shown := c.At(closed).Showing(a.issue(t)).Visit(t, opened.Newest())
					require.Equal(t, New, shown.Session)
				}
				if i.Stek != nil {
					require.Zero(t, i.Stek.Status(t).Counts["misplaced"])
				}
			})
		}
	}
}

// With stek a verified client is resumed on every worker, as alone.
func TestVerifiedClientsAreResumed(t *testing.T) {
	for _, v := range verifyingServers {
		for name, way := range map[string]Way{"alone": Alone{}, "with stek": Run{}} {
			t.Run(v.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				a := newAuthority(t, "ca")
				i, closed := serveClients(t, v, a, way)
				for _, version := range versions {
					c := i.Client(t, version).At(closed).Showing(a.issue(t))
					ticket := c.Visit(t, nil).Newest()
					for n := range 8 {
						visit := c.Visit(t, ticket)
						require.Equal(t, Reused, visit.Session, "%s, visit %d", tls.VersionName(version), n)
						if visit.Newest() != nil {
							ticket = visit.Newest()
						}
					}
				}
			})
		}
	}
}

// A reload in which another authority takes the place of the first ends the tickets of its
// clients. A label says that contexts before and after a reload decide alike.
func TestReloadEndsTicketsOfVerifiedClients(t *testing.T) {
	for _, v := range verifyingServers {
		if v.Reload == nil {
			continue
		}
		for name, tt := range map[string]struct {
			way     Way
			changes bool
			want    string
		}{
			"without a label":                 {Run{}, false, New},
			"with a label":                    {Run{ClientAuth: "x"}, false, Reused},
			"another CA, and without a label": {Run{}, true, ""},
		} {
			t.Run(v.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				first, second := newAuthority(t, "ca"), newAuthority(t, "another ca")
				i, closed := serveClients(t, v, first, tt.way)
				for n, version := range versions {
					if tt.changes && n > 0 {
						break
					}
					c := i.Client(t, version).At(closed).Showing(first.issue(t))
					ticket := c.Visit(t, c.Visit(t, nil).Newest()).Newest()
					if ticket == nil { // TLS 1.2, under the current key
						ticket = c.Visit(t, nil).Newest()
					}
					if tt.changes {
						i.Site.write(t, "ca.pem", second.pem())
					}
					v.Reload(i)
					var visit Visit
					var err error
					Eventually(t, v.Name+" answers as it does after a reload", func() bool {
						visit, err = c.Try(ticket)
						return err == nil || tt.want == ""
					})
					if tt.want == "" {
						require.Error(t, err)
						require.Equal(t, New, c.Showing(second.issue(t)).Visit(t, nil).Session)
						continue
					}
					require.NoError(t, err)
					if tt.want == Reused && visit.Session == New {
						// The first handshake by a name teaches the new contexts.
						visit = c.Visit(t, ticket)
					}
					require.Equal(t, tt.want, visit.Session, tls.VersionName(version))
				}
			})
		}
	}
}

// Each smtpd process of Postfix makes a context after it was executed, and alone they share
// the ticket keys of tlsmgr. With stek a ticket of a client that was asked for a certificate
// stays with its process, unless a label says that all decide alike.
func TestProcessesThatShareKeysByThemselvesNeedALabel(t *testing.T) {
	a := newAuthority(t, "ca")
	server := *postfix
	server.Configure = func(t *testing.T, s *Site) []string {
		args := postfix.Configure(t, s)
		s.write(t, "ca.pem", a.pem())
		s.write(t, "etc/main.cf", postfixMain+" STEK_CLIENT_AUTH\nsmtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = FOLDER/ca.pem\n")
		s.write(t, "etc/master.cf", strings.Replace(postfixMaster, "smtpd -o", "smtpd -o max_use=1 -o", 1))
		return args
	}
	for name, tt := range map[string]struct {
		way  func(t *testing.T) Way
		want string
	}{
		"alone":        {func(*testing.T) Way { return Alone{} }, Reused},
		"with stek":    {func(t *testing.T) Way { return StartAgent(t, "memory:", "postfix") }, New},
		"with a label": {func(t *testing.T) Way { return StartAgent(t, "memory:", "postfix").Labelled("mail") }, Reused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := Serve(t, &server, tt.way(t))
			for _, version := range versions {
				c := i.Client(t, version).Showing(a.issue(t))
				ticket := c.Visit(t, nil).Newest()
				require.NotNil(t, ticket)
				require.Equal(t, tt.want, c.Visit(t, ticket).Session, tls.VersionName(version))
			}
		})
	}
}
