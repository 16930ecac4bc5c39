package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// serverName is in the certificate, and what clients ask for.
const serverName = "localhost"

// A certificate is self-signed and lies with its key in a folder of its own.
type certificate struct{ folder, certFile, keyFile string }

func newCertificate() (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: serverName},
		DNSNames:              []string{serverName},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, err
	}

	folder, err := os.MkdirTemp("", "stek-https-")
	if err != nil {
		return certificate{}, err
	}
	c := certificate{folder, filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	err = errors.Join(
		writePEM(c.certFile, "CERTIFICATE", certDER),
		writePEM(c.keyFile, "PRIVATE KEY", keyDER))
	if err != nil {
		c.remove()
		return certificate{}, err
	}
	return c, nil
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (c certificate) remove() { _ = os.RemoveAll(c.folder) }
