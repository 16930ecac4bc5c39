package ssltest

/*
#include "harness.h"
#include <stdlib.h>
*/
import "C"

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"time"
)

// RequestClientCert makes a server ask for a client certificate and accept
// any, or none. OpenSSL then resumes nothing, and fails the handshake that
// tries to, unless SetSessionIDContext was called.
func (c *Context) RequestClientCert() {
	c.tb.Helper()
	C.ssltest_request_client_cert(c.live())
}

// UseClientCert gives a client a certificate to answer such a server with.
func (c *Context) UseClientCert() {
	c.tb.Helper()
	c.useCertificate()
}

func (c *Context) useCertificate() {
	c.tb.Helper()
	pair, err := selfSigned()
	if err != nil {
		c.tb.Fatalf("ssltest: make certificate: %v", err)
	}
	cert, key := C.CBytes(pair.cert), C.CBytes(pair.key)
	defer C.free(cert)
	defer C.free(key)
	c.check(C.ssltest_use_certificate(c.live(),
		(*C.uchar)(cert), C.size_t(len(pair.cert)),
		(*C.uchar)(key), C.size_t(len(pair.key))), "use certificate")
}

// A pair is a certificate and its private key in DER.
type pair struct{ cert, key []byte }

// selfSigned returns the process's certificate, made at its first use.
var selfSigned = sync.OnceValues(func() (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "localhost"},
		DNSNames:              []string{"localhost"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair{}, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return pair{cert: cert, key: der}, err
})
