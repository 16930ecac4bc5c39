// Package systemd tests the unit files in its folder.
package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is the command as the unit files name it.
const program = "/usr/bin/stek"

// Where Debian's packages have their units. Of a server that is not installed a
// minimal unit stands in.
const packaged = "/lib/systemd/system"

var servers = []string{"nginx.service", "haproxy.service", "apache2.service"}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		files = append(files, found...)
	}
	return files
}

// settings returns the values of name in the text of a unit file.
func settings(text, name string) []string {
	var values []string
	for _, m := range regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(text, -1) {
		values = append(values, m[1])
	}
	return values
}

// install puts the units, and the servers' with the drop-ins that are in folder,
// where systemd-analyze alone looks for them.
func install(t *testing.T, folder string) (units string) {
	t.Helper()
	units = t.TempDir()
	stub := filepath.Join(units, "stek")
	put(t, stub, "#!/bin/sh\n", 0o755)
	for _, file := range glob(t, "*.service") {
		put(t, filepath.Join(units, file), strings.ReplaceAll(read(t, file), program+" ", stub+" "), 0o644)
	}
	for _, server := range servers {
		text := "[Service]\nType=forking\nExecStart=/bin/true\n"
		if _, err := os.Stat(filepath.Join(packaged, server)); err == nil {
			text = read(t, filepath.Join(packaged, server))
		}
		put(t, filepath.Join(units, server), text, 0o644)
		for _, file := range glob(t, filepath.Join(folder, server+".d", "*.conf")) {
			put(t, filepath.Join(units, server+".d", filepath.Base(file)), read(t, file), 0o644)
		}
	}
	return units
}

func put(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), mode))
}

// analyze runs systemd-analyze, which reads units from the folder and, for what
// these need, from where systemd has its own.
func analyze(t *testing.T, units string, args ...string) string {
	t.Helper()
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Dir = units
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+units+":", "SYSTEMD_COLORS=0", "SYSTEMD_LOG_TARGET=console")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestSystemdFindsNoFault(t *testing.T) {
	for _, folder := range []string{".", "bare"} {
		units := install(t, folder)
		names := append([]string{"stek-agent.service", "stek-agent@shop.service"}, servers...)
		require.Empty(t, analyze(t, units, append([]string{"verify", "--man=no"}, names...)...))
	}
}

// Without this a typing error in a drop-in would pass: that verify reads them.
func TestSystemdFindsFaultsInDropIns(t *testing.T) {
	units := install(t, ".")
	put(t, filepath.Join(units, "nginx.service.d", "zz.conf"), "[Service]\nEnvironmnet=A=b\n", 0o644)
	require.Contains(t, analyze(t, units, "verify", "--man=no", "nginx.service"), "Environmnet")
}

func TestAgentHasFewPrivileges(t *testing.T) {
	units := install(t, ".")
	for _, unit := range []string{"stek-agent.service", "stek-agent@.service"} {
		// From 0, nothing to lose, to 10; the threshold is in tenths.
		analyze(t, units, "security", "--offline=true", "--threshold=20", filepath.Join(units, unit))
	}
}

func TestBothAgentsAreHardenedAlike(t *testing.T) {
	hardening := func(file string) string {
		_, after, found := strings.Cut(read(t, file), "\nUMask=")
		require.True(t, found, file)
		return after
	}
	require.Equal(t, hardening("stek-agent.service"), hardening("stek-agent@.service"))
}

func TestUsersAreMade(t *testing.T) {
	// The example for a domain, too.
	users := strings.ReplaceAll(read(t, "stek.sysusers.conf"), "#u ", "u  ")
	cmd := exec.Command("systemd-sysusers", "--dry-run", "--root="+t.TempDir(), "-")
	cmd.Stdin = strings.NewReader(users)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "Creating user 'stek' ")
	require.Contains(t, string(out), "Creating user 'stek-shop' ")

	unit := read(t, "stek-agent.service")
	require.Equal(t, []string{"stek"}, settings(unit, "User"))
	require.Equal(t, []string{"stek"}, settings(unit, "Group"))
	ofDomain := read(t, "stek-agent@.service")
	require.Equal(t, []string{"stek-%i"}, settings(ofDomain, "User"))
	require.Equal(t, []string{"stek-%i"}, settings(ofDomain, "Group"))
}

func TestServersMapTheTableThatTheAgentWrites(t *testing.T) {
	unit := read(t, "stek-agent.service")
	table := regexp.MustCompile(`--table (\S+)`).FindStringSubmatch(unit)[1]
	require.Equal(t, "/run/"+settings(unit, "RuntimeDirectory")[0], filepath.Dir(table))
	require.Equal(t, []string{"yes"}, settings(unit, "RuntimeDirectoryPreserve"))
	for _, server := range servers {
		dropIn := read(t, filepath.Join(server+".d", "stek.conf"))
		require.Contains(t, settings(dropIn, "Environment"), "STEK_TABLE="+table)
		require.Equal(t, []string{"stek-agent.service"}, settings(dropIn, "Wants"))
		require.Equal(t, []string{"stek-agent.service"}, settings(dropIn, "After"))
		require.Empty(t, settings(dropIn, "Requires"), "the server must run without")
	}
}

// The variables are those of the preload library.
func TestVariablesAreKnownToTheLibrary(t *testing.T) {
	known := read(t, "../../preload/settings.c")
	for _, file := range glob(t, "*.d/*.conf", "bare/*.d/*.conf") {
		values := settings(read(t, file), "Environment")
		require.Len(t, values, 2, file)
		require.Equal(t, "LD_PRELOAD=/usr/lib/stek/libstek-preload.so", values[0], file)
		name, _, _ := strings.Cut(values[1], "=")
		require.Contains(t, known, fmt.Sprintf("%q", name), file)
	}
}

func TestReadmeNamesEveryFile(t *testing.T) {
	readme := read(t, "README.md")
	for _, file := range glob(t, "*.service", "*.conf", "*.d/*.conf", "bare/*.d/*.conf") {
		require.Contains(t, readme, "`"+file+"`")
	}
	for _, m := range regexp.MustCompile("`([a-z0-9/@.-]+\\.(?:service|conf))`").FindAllStringSubmatch(readme, -1) {
		if strings.HasPrefix(m[1], "/") || strings.Contains(m[1], "@shop") {
			continue
		}
		require.FileExists(t, m[1])
	}
}
