package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-stek/stek"
)

// The test binary is the program itself when this variable is set.
const beProgram = "STEK_TEST_HTTPS_EXAMPLE"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is the example, slower than it is by default as tests share the
// machine, and ended if it hangs.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	args = append([]string{"-rotation", "5s", "-lifetime", "5s"}, args...)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), beProgram+"=1", "TMPDIR="+t.TempDir())
	return cmd
}

func TestStepsComeOutAsTheyShould(t *testing.T) {
	t.Parallel()
	cmd := program(t)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	output, err := cmd.Output()
	require.NoError(t, err, "%s%s", output, &errors)
	require.Empty(t, errors.String())

	// <1> is the first key, <2> the one after it.
	story := string(output)
	for i, key := range regexp.MustCompile(`(?m)^Key ([0-9a-f]{8}) is current`).FindAllStringSubmatch(story, -1) {
		story = strings.ReplaceAll(story, key[1], "<"+string(rune('1'+i))+">")
	}
	for _, line := range []string{
		"Key <1> is current.",
		"  TLS 1.2  s_client comes    no ticket offered                      ticket <1>       New",
		"  TLS 1.2  and again         verdict 1 (resumed)                    ticket <1>       Reused",
		"  TLS 1.3  and again         verdict 2 (resumed, renew the ticket)  ticket <1>       Reused",
		"  TLS 1.3  curl comes twice  verdict 2 (resumed, renew the ticket)                   New, Reused",
		"Key <2> is current, <1> only decrypts.",
		"  TLS 1.2  first ticket      verdict 2 (resumed, renew the ticket)  ticket <2>       Reused",
		"  TLS 1.3  first ticket      verdict 2 (resumed, renew the ticket)  ticket <2>       Reused",
		"Key <1> has expired and is destroyed.",
	} {
		require.Contains(t, unpadded(story), unpadded(line)+"\n")
	}
	require.Regexp(t, `TLS 1\.2  first ticket +verdict 0 .* New\n`, story)
	require.Regexp(t, `TLS 1\.3  first ticket +verdict 0 .* New\n`, story)
	require.Regexp(t, `TLS 1\.3  renewed ticket +verdict 2 .* Reused\n$`, story, "the last line")
}

// unpadded has single spaces: a stand-in is shorter than the name of a key.
func unpadded(s string) string { return regexp.MustCompile(` +`).ReplaceAllString(s, " ") }

func TestServeGoesOnUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	cmd := program(t, "-serve")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	// It ends by listing two commands; they work as they are printed.
	var commands []string
	lines := bufio.NewScanner(stdout)
	for len(commands) < 2 && lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "  openssl ") || strings.HasPrefix(line, "  curl ") {
			commands = append(commands, line)
		}
	}
	require.Len(t, commands, 2)
	for _, command := range commands {
		output, err := exec.Command("sh", "-c", command).Output()
		require.NoError(t, err)
		outcomes := regexp.MustCompile(`(?m)^(New|Reused)\b`).FindAllString(string(output), -1)
		require.Greater(t, len(outcomes), 1)
		require.Equal(t, "New", outcomes[0])
		require.Equal(t, "Reused", outcomes[len(outcomes)-1])
	}

	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait())
}

func TestAStepThatComesOutOtherwiseIsAnError(t *testing.T) {
	t.Parallel()
	forgetful := t.TempDir() // an openssl whose sessions are always new
	script := "#!/bin/sh\necho 'New, TLSv1.2, Cipher is X'\necho New\n"
	require.NoError(t, os.WriteFile(filepath.Join(forgetful, "openssl"), []byte(script), 0o755))
	cmd := program(t)
	cmd.Env = append(cmd.Env, "PATH="+forgetful+":"+os.Getenv("PATH"))

	output, err := cmd.CombinedOutput()

	require.IsType(t, &exec.ExitError{}, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, string(output), "https: TLS 1.2, s_client comes: want a ticket under key")
}

func TestVerdictIsToldByTheCounts(t *testing.T) {
	before := stek.Stats{Issued: 7, Renewed: 3, Accepted: 5, Unknown: 2, Expired: 1, Errors: 1}
	for _, tt := range []struct {
		name   string
		change func(*stek.Stats)
		want   verdict
		says   string
	}{
		{"a ticket issued", func(s *stek.Stats) { s.Issued++ }, notAsked, "no ticket offered"},
		{"resumed", func(s *stek.Stats) { s.Accepted++ }, 1, "verdict 1 (resumed)"},
		{"resumed and renewed", func(s *stek.Stats) { s.Accepted++; s.Renewed++; s.Issued++ }, 2, "verdict 2 (resumed, renew the ticket)"},
		{"key unknown", func(s *stek.Stats) { s.Unknown++; s.Issued++ }, 0, "verdict 0 (key gone, full handshake)"},
		{"key expired", func(s *stek.Stats) { s.Expired++ }, 0, "verdict 0 (key gone, full handshake)"},
		{"error", func(s *stek.Stats) { s.Errors++ }, -1, "verdict -1 (failed)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			after := before
			tt.change(&after)
			require.Equal(t, tt.want, verdictBetween(before, after))
			require.Equal(t, tt.says, tt.want.String())
		})
	}
}
