package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serverName is what clients ask for. The certificate is also for otherName.
const (
	serverName = "localhost"
	otherName  = "other.localhost"
)

// certificate returns the PEM files that servers read: cert.pem, key.pem, and
// both.pem for servers that want one file.
func certificate(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := selfSigned()
	require.NoError(t, err)
	return files
}

// trusted is the pool with the servers' certificate.
func trusted(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certificate(t)["cert.pem"]))
	return pool
}

var selfSigned = sync.OnceValues(func() (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: serverName},
		DNSNames:              []string{serverName, otherName},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return map[string][]byte{
		"cert.pem": cert,
		"key.pem":  private,
		"both.pem": append(append([]byte{}, cert...), private...),
	}, nil
})
