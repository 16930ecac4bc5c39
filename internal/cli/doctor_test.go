package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// moduleServer is a program that looks up libssl's functions by itself.
func moduleServer(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "server")
	out, err := exec.Command("gcc", "-o", program, "../doctor/testdata/src/module.c", "-ldl").CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

// examined is what stek doctor --json says.
func examined(t *testing.T, pid int) (code int, severities map[string]string, text string) {
	t.Helper()
	code, text, errs := execute(t, "doctor", "--json", fmt.Sprint(pid))
	require.Empty(t, errs)
	var report struct {
		Findings []struct{ Severity, Code string }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &report), text)
	severities = map[string]string{}
	for _, f := range report.Findings {
		severities[f.Code] = f.Severity
	}
	return code, severities, text
}

// childOf is the one child of a process.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	require.NoError(t, err)
	var children string
	for _, thread := range threads {
		text, _ := os.ReadFile(thread)
		children += string(text)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(children))
	require.NoError(t, err, children)
	return pid
}

func TestDoctorBelievesTheCountsOfAProcess(t *testing.T) {
	program := moduleServer(t)
	code, out, _ := execute(t, "doctor", "--", program)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "Start it with stek run")

	s := start(t, run("--", program)...)
	s.await("serving")
	code, found, text := examined(t, childOf(t, s.Process.Pid))
	require.Zero(t, code, text)
	require.Equal(t, "good", found["counts"], text)
	require.Contains(t, text, "Contexts seen: 1. Tickets issued: 0, accepted: 0.")

	// Behind a shell as well: it reads the table, too.
	s = start(t, run("--", "sh", "-c", program+" & wait")...)
	s.await("serving")
	code, found, text = examined(t, childOf(t, childOf(t, s.Process.Pid)))
	require.Zero(t, code, text)
	require.Equal(t, "good", found["counts"], text)
}

func TestDoctorSaysThatNoContextWasSeen(t *testing.T) {
	s := start(t, run("--", "sh", "-c", "echo waiting; exec python3 -c 'import ssl, time; time.sleep(60)'")...)
	s.await("waiting")
	var code int
	var found map[string]string
	var text string
	eventually(t, "python has loaded ssl", func() bool {
		code, found, text = examined(t, childOf(t, s.Process.Pid))
		return strings.Contains(text, "_ssl")
	})
	require.Equal(t, 1, code, text)
	require.Equal(t, "unknown", found["counts"], text)
}

func TestDoctorSeesTicketsOffInTheCounts(t *testing.T) {
	pem := filepath.Join(t.TempDir(), "site.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pem, "-out", pem+".crt", "-subj", "/CN=localhost").CombinedOutput()
	require.NoError(t, err, string(out))
	server := `
import ssl, socket, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + ".crt", sys.argv[1])
if sys.argv[2] == "off": context.options |= ssl.OP_NO_TICKET
listener = socket.create_server(("127.0.0.1", 0))
print("serving on", listener.getsockname()[1], flush=True)
while True:
    connection = context.wrap_socket(listener.accept()[0], server_side=True)
    connection.recv(1)
    connection.close()
`
	for tickets, want := range map[string]string{"off": "off", "on": "good"} {
		s := start(t, run("--", "python3", "-c", server, pem, tickets)...)
		address := net.JoinHostPort("127.0.0.1", s.await(`serving on (\d+)`)[1])
		client := exec.Command("openssl", "s_client", "-connect", address, "-tls1_2")
		client.Stdin = strings.NewReader("x")
		out, _ := client.CombinedOutput()
		require.Contains(t, string(out), "New, TLSv1.2")
		code, found, text := examined(t, childOf(t, s.Process.Pid))
		require.Equal(t, want == "off", code == 1, text)
		require.Equal(t, want, found["counts"], text)
	}
}

func TestDoctorKnowsThatATableIsOfSeveralServers(t *testing.T) {
	table := filepath.Join(tmpfs(t), "table")
	agent := start(t, "agent", "--table", table)
	agent.await("serving ticket keys")
	library, err := filepath.Abs(preload)
	require.NoError(t, err)
	program := moduleServer(t)
	var servers []*exec.Cmd
	for range 2 {
		server := exec.Command(program)
		server.Env = append(os.Environ(), "LD_PRELOAD="+library, "STEK_TABLE="+table)
		out, err := server.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, server.Start())
		t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
		_, err = out.Read(make([]byte, 8))
		require.NoError(t, err)
		servers = append(servers, server)
	}
	code, found, text := examined(t, servers[0].Process.Pid)
	require.Equal(t, 1, code, text) // which of them the contexts are of is not known
	require.Equal(t, "note", found["counts"], text)
	require.Contains(t, text, fmt.Sprintf("Contexts seen: 2. Tickets issued: 0, accepted: 0. These are of all that read this table, process %d among them.", servers[1].Process.Pid))
	require.NoError(t, servers[1].Process.Kill())
	_ = servers[1].Wait()
	code, found, text = examined(t, servers[0].Process.Pid)
	require.Zero(t, code, text)
	require.Equal(t, "good", found["counts"], text)
}

func TestDoctorRunsNoProgram(t *testing.T) {
	folder := t.TempDir()
	source, ran := filepath.Join(folder, "server.c"), filepath.Join(folder, "ran")
	require.NoError(t, os.WriteFile(source, []byte("#include <fcntl.h>\nint main(void) { return creat(\""+ran+"\", 0600) < 0; }\n"), 0o644))
	for _, name := range []string{"nginx", "apache2", "haproxy", "dovecot", "postfix", "python3.11", "openssl"} {
		program := filepath.Join(folder, name)
		out, err := exec.Command("gcc", "-o", program, source).CombinedOutput()
		require.NoError(t, err, string(out))
		execute(t, "doctor", "--", program)
		require.NoFileExists(t, ran, name)
	}
	_, help, _ := execute(t, "doctor", "--help")
	require.Contains(t, help, "It runs no other program")
}
