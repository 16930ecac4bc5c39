package doctor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Debian's servers live where the PATH of an ordinary user does not go.
const serverPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// need returns the file of a program, or fails with what to install.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	for _, dir := range filepath.SplitList(serverPath + ":" + os.Getenv("PATH")) {
		if path := filepath.Join(dir, program); (place{}).isFile(path) {
			return path
		}
	}
	t.Fatalf("%s is missing: apt-get install %s", program, debian)
	return ""
}

func examine(t *testing.T, argv ...string) Report {
	t.Helper()
	return examineWith(t, nil, argv...)
}

func examineWith(t *testing.T, environ []string, argv ...string) Report {
	t.Helper()
	r, err := Command(argv, append([]string{"PATH=" + serverPath}, environ...))
	require.NoError(t, err)
	return r
}

func text(t *testing.T, r Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.Write(&b))
	return b.String()
}

// finding returns what the report says under code, and fails if that is nothing.
func finding(t *testing.T, r Report, code string) Finding {
	t.Helper()
	f := r.Find(code)
	if f == nil {
		t.Fatalf("no finding %q in:\n%s", code, text(t, r))
	}
	return *f
}

// places are those of a finding as "base:line text => change".
func places(f Finding) []string {
	var list []string
	for _, p := range f.Places {
		line := filepath.Base(p.String()) + " " + strings.TrimSpace(p.Text)
		if p.Change != "" {
			line += " => " + strings.TrimSpace(p.Change)
		}
		list = append(list, line)
	}
	return list
}

// build compiles testdata/src/NAME.c and returns the program.
func build(t *testing.T, name string, flags ...string) string {
	t.Helper()
	need(t, "gcc", "gcc")
	out := filepath.Join(t.TempDir(), name)
	args := append([]string{"-o", out, filepath.Join("testdata", "src", name+".c")}, flags...)
	text, err := exec.Command("gcc", args...).CombinedOutput()
	require.NoError(t, err, "gcc %s (apt-get install gcc libssl-dev libgnutls28-dev): %s", strings.Join(args, " "), text)
	return out
}

// certificate writes a new self-signed one and its key into one file.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	require.NoError(t, pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return write(t, "site.pem", b.String())
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func TestUnknownCommandIsAnError(t *testing.T) {
	_, err := Command([]string{"no-such-server"}, []string{"PATH=" + serverPath})
	require.ErrorIs(t, err, exec.ErrNotFound)
	_, err = Command([]string{"/no/such/server"}, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Command(nil, nil)
	require.Error(t, err)
}
