package scripts_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A machine is a folder of stub commands, the only ones that setup.sh finds: a
// package is installed if the folder has a file of its name.
type machine struct{ bin, packages string }

// What the stub commands do. $0 lies in bin; gcc answers for headers too.
var stubs = map[string]string{
	"id":         `cat "$PACKAGES/../uid"`,
	"go":         `echo "go version go1.26.0 linux/amd64"`,
	"gcc":        `read -r line; case $line in *stdlib.h*) test -e "$PACKAGES/libc6-dev";; *openssl/ssl.h*) test -e "$PACKAGES/libssl-dev";; esac`,
	"pkg-config": `:`,
	"openssl":    `:`,
	"curl":       `:`,
	"valgrind":   `:`,
	"g++":        `:`,
	// The engine's command, without the plugin compose.
	"docker":         `[ "$1" != compose ]`,
	"docker-compose": `:`,
	"debootstrap":    `:`,
	"wrk":            `:`,
	"sudo":           `test "$1" = -n || exit 9; test -e "$PACKAGES/../sudo" || exit 1; echo "sudo" >>"$PACKAGES/../log"; shift; UID0=yes "$@"`,
	"apt-get": `echo "apt-get $*" >>"$PACKAGES/../log"
test "${UID0:-}" = yes || test "$(id -u)" = 0 || exit 100
case $1 in
update) touch "$PACKAGES/../lists" ;;
install)
	test -e "$PACKAGES/../lists" || { echo "E: Unable to locate package"; exit 100; }
	test -e "$PACKAGES/../root/usr/sbin/policy-rc.d" && echo "no service starts" >>"$PACKAGES/../log"
	for word; do case $word in install | -*) ;; *) touch "$PACKAGES/$word"; cp "$PACKAGES/../stubs/$word" "${0%/*}/" 2>/dev/null || "${0%/*}/unpack" "$word" ;; esac; done ;;
esac`,
}

var allPackages = append([]string{"gcc", "libc6-dev", "libssl-dev", "pkg-config", "openssl", "curl", "valgrind", "g++", "wrk"}, servers...)

// servers is what the tests need beside a compiler, by the file that tells that
// the package is there.
var servers = []string{"nginx", "haproxy", "apache2", "lighttpd", "lighttpd-mod-openssl", "stunnel4",
	"dovecot-imapd", "postfix", "vsftpd", "python3", "systemd", "prometheus", "gnuplot-nox"}

// files are those of packages that are no command of the package's name.
var files = map[string]string{
	"lighttpd-mod-openssl": "root/usr/lib/lighttpd/mod_openssl.so",
	"dovecot-imapd":        "root/usr/lib/dovecot/imap-login",
	"python3":              "root/usr/bin/python3",
	"systemd":              "root/usr/sbin/systemd-analyze",
	"prometheus":           "root/usr/sbin/promtool",
	"gnuplot-nox":          "root/usr/sbin/gnuplot",
}

var allButCurl = slices.DeleteFunc(slices.Clone(allPackages), func(name string) bool { return name == "curl" })

// newMachine is one of root with up-to-date package lists, go and the packages.
func newMachine(t *testing.T, packages ...string) machine {
	t.Helper()
	dir := t.TempDir()
	m := machine{filepath.Join(dir, "bin"), filepath.Join(dir, "packages")}
	for _, folder := range []string{m.bin, m.packages, filepath.Join(dir, "stubs")} {
		require.NoError(t, os.Mkdir(folder, 0o755))
	}
	for name, body := range stubs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "stubs", name), []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	}
	for _, name := range []string{"sh", "cat", "cp", "env", "ls", "touch", "rm", "chmod"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(m.bin, name)))
	}
	m.addCommands(t, "id", "go", "sudo", "apt-get")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/usr/sbin"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/usr/bin"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/usr/lib/lighttpd"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "root/usr/lib/dovecot"), 0o755))
	unpack := "#!/bin/sh\ncase $1 in\n"
	for _, name := range servers {
		unpack += name + ") f=" + fileOf(name) + ";;\n"
	}
	unpack += `*) exit 0;; esac
echo '#!/bin/sh' >"$PACKAGES/../$f"; chmod 755 "$PACKAGES/../$f"` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(m.bin, "unpack"), []byte(unpack), 0o755))
	for _, name := range packages {
		m.set(t, "packages/"+name, "")
		m.addCommands(t, name)
	}
	m.set(t, "uid", "0")
	m.set(t, "lists", "")
	return m
}

// fileOf is the file that tells that a package of servers is there.
func fileOf(name string) string {
	if file, found := files[name]; found {
		return file
	}
	return "root/usr/sbin/" + name
}

func (m machine) addCommands(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if slices.Contains(servers, name) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(m.bin), fileOf(name)), []byte("#!/bin/sh\n"), 0o755))
		}
		if stub, found := stubs[name]; found {
			require.NoError(t, os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+stub+"\n"), 0o755))
		}
	}
}

// set writes a file beside bin.
func (m machine) set(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(m.bin), name), []byte(content), 0o644))
}

func (m machine) remove(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(m.bin), name)))
}

// setup runs setup.sh and returns its exit status, what it said, and the
// commands of apt-get and sudo that it ran.
func (m machine) setup(t *testing.T, args ...string) (status int, said string, ran []string) {
	t.Helper()
	var output bytes.Buffer
	script := exec.Command("/bin/sh", append([]string{"setup.sh"}, args...)...)
	script.Env = []string{"PATH=" + m.bin, "PACKAGES=" + m.packages, "SETUP_ROOT=" + filepath.Join(filepath.Dir(m.bin), "root")}
	script.Stdout, script.Stderr = &output, &output
	if err := script.Run(); err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	log, _ := os.ReadFile(filepath.Join(filepath.Dir(m.bin), "log"))
	if script.ProcessState.Success() && strings.Contains(string(log), "apt-get install") {
		require.Contains(t, string(log), "no service starts", "services of packages are not started")
	}
	log = []byte(strings.ReplaceAll(string(log), "no service starts\n", ""))
	require.NoFileExists(t, filepath.Join(filepath.Dir(m.bin), "root/usr/sbin/policy-rc.d"), "the policy is gone after that")
	if len(log) > 0 {
		ran = strings.Split(strings.TrimSpace(string(log)), "\n")
	}
	return script.ProcessState.ExitCode(), output.String(), ran
}

func TestNothingMissingIsSilent(t *testing.T) {
	m := newMachine(t, allPackages...)
	for _, args := range [][]string{nil, {"build"}, {"run"}, {"test"}} {
		status, said, ran := m.setup(t, args...)
		require.Zero(t, status)
		require.Empty(t, said)
		require.Empty(t, ran)
	}
}

func TestRootInstallsWhatTheTargetNeeds(t *testing.T) {
	for _, tt := range []struct{ target, installed string }{
		{"build", "gcc libc6-dev libssl-dev pkg-config"},
		{"run", "gcc libc6-dev libssl-dev pkg-config openssl curl"},
		{"bench", "gcc libc6-dev libssl-dev pkg-config openssl nginx haproxy gnuplot-nox wrk"},
		{"test", "gcc libc6-dev libssl-dev pkg-config openssl curl valgrind g++ " + strings.Join(servers, " ")},
	} {
		t.Run(tt.target, func(t *testing.T) {
			status, said, ran := newMachine(t).setup(t, tt.target)
			require.Zero(t, status, said)
			require.Equal(t, "setup: installing "+tt.installed+"\n", said)
			require.Equal(t, []string{"apt-get install -y -qq --no-install-recommends " + tt.installed}, ran)
		})
	}
}

func TestContainersNeedAnEngineThatIsThere(t *testing.T) {
	m := newMachine(t)
	status, said, ran := m.setup(t, "containers")
	require.Zero(t, status, said)
	require.Empty(t, ran, "without the command docker nothing is installed")

	m.addCommands(t, "docker")
	status, said, _ = m.setup(t, "containers")
	require.Zero(t, status, said)
	require.Equal(t, "setup: installing docker-compose debootstrap\n", said)
	status, said, _ = m.setup(t, "containers")
	require.Zero(t, status)
	require.Empty(t, said, "the second time")
}

func TestContainersTakeComposeAsAPlugin(t *testing.T) {
	m := newMachine(t)
	m.set(t, "bin/docker", "#!/bin/sh\n[ \"$*\" = 'compose version' ]\n")
	require.NoError(t, os.Chmod(filepath.Join(m.bin, "docker"), 0o755))
	status, said, _ := m.setup(t, "containers")
	require.Zero(t, status, said)
	require.Equal(t, "setup: installing debootstrap\n", said)
}

func TestOnlyRootMakesImagesOfPackages(t *testing.T) {
	m := newMachine(t)
	m.addCommands(t, "docker")
	m.set(t, "uid", "1000")
	status, said, _ := m.setup(t, "containers")
	require.Equal(t, 1, status)
	require.Regexp(t, `(?m)^    (sudo apt-get update && )?sudo apt-get install -y docker-compose$`, said)
}

func TestOnlyTheMissingPackageIsInstalled(t *testing.T) {
	m := newMachine(t, "gcc", "libc6-dev", "pkg-config", "openssl", "curl")
	status, said, _ := m.setup(t, "run")
	require.Zero(t, status, said)
	require.Equal(t, "setup: installing libssl-dev\n", said)

	status, said, _ = m.setup(t, "run")
	require.Zero(t, status)
	require.Empty(t, said, "the second time")
}

func TestPackageListsAreFetchedOnlyWhenAbsent(t *testing.T) {
	m := newMachine(t, allButCurl...)
	m.remove(t, "lists")
	status, said, ran := m.setup(t, "run")
	require.Zero(t, status, said)
	require.Equal(t, "setup: installing curl\n", said)
	require.Len(t, ran, 3)
	require.Equal(t, "apt-get update -qq", ran[1])
}

func TestUserWithSudoInstalls(t *testing.T) {
	m := newMachine(t, allButCurl...)
	m.set(t, "uid", "1000")
	m.set(t, "sudo", "")
	status, said, ran := m.setup(t, "run")
	require.Zero(t, status, said)
	require.Contains(t, ran, "apt-get install -y -qq --no-install-recommends curl")
}

func TestUserWithoutSudoGetsTheLineToRun(t *testing.T) {
	m := newMachine(t, "gcc", "libc6-dev", "pkg-config", "openssl")
	m.set(t, "uid", "1000")
	status, said, ran := m.setup(t, "run")
	require.Equal(t, 1, status)
	require.Regexp(t, `(?m)^    (sudo apt-get update && )?sudo apt-get install -y libssl-dev curl$`, said)
	require.Empty(t, ran)
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for _, tt := range []struct {
		name  string
		upset func(*testing.T, machine)
		args  []string
		says  string
	}{
		{"no go", func(t *testing.T, m machine) { m.remove(t, "bin/go") }, nil, "go is not in PATH"},
		{"old go", func(t *testing.T, m machine) {
			m.set(t, "bin/go", "#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
		}, nil, "this Go is too old (go version go1.19.8 linux/amd64)"},
		{"no apt-get", func(t *testing.T, m machine) { m.remove(t, "bin/apt-get") }, nil, "missing: curl (Debian's names)"},
		{"apt-get fails", func(t *testing.T, m machine) {
			m.set(t, "bin/apt-get", "#!/bin/sh\necho no network; exit 100\n")
		}, nil, "no network"},
		{"apt-get lies", func(t *testing.T, m machine) { m.set(t, "bin/apt-get", "#!/bin/sh\n") }, nil, "still missing after the installation: curl"},
		{"no such target", func(*testing.T, machine) {}, []string{"fly"}, `no target "fly"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t, allButCurl...)
			tt.upset(t, m)
			status, said, _ := m.setup(t, tt.args...)
			require.Equal(t, 1, status)
			require.Contains(t, said, tt.says)
			require.NotContains(t, said, "not found")
		})
	}
}
