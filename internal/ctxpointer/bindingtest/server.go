package bindingtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serverName is the name in the certificate, which clients ask for.
const serverName = "localhost"

// ioTimeout ends a connection that a fault has left waiting.
const ioTimeout = 10 * time.Second

// serve answers every connection until the listener is closed: it reads one
// byte and writes New or Reused.
func serve(listener net.Listener, served *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		served.Go(func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(ioTimeout))
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				return
			}
			outcome := "New"
			if conn.(interface{ SessionReused() bool }).SessionReused() {
				outcome = "Reused"
			}
			_, _ = io.WriteString(conn, outcome)
		})
	}
}

// A certificate is self-signed; the client trusts it.
type certificate struct {
	certPEM, keyPEM []byte
	pool            *x509.CertPool
}

func newCertificate(t *testing.T) certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: serverName},
		DNSNames:              []string{serverName},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)

	c := certificate{
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		pool:    x509.NewCertPool(),
	}
	require.True(t, c.pool.AppendCertsFromPEM(c.certPEM))
	return c
}
