// Package cli is the command line of stek.
package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, besides those of a server that stek run ran. 126 and 127 are as in
// env(1): the command cannot be run, or is not found.
const (
	exitOK     = 0
	exitUsage  = 2   // the command line, or a store URI, cannot be understood
	exitFailed = 1   // the command failed
	exitRun    = 125 // stek run failed before the server ran
)

// An exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error // nil: nothing is to be said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Main runs stek with args and returns its exit code.
func Main(version string, args []string) int {
	root := Root(version)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitUsage, err} // cobra's own
	}
	if exit.err != nil {
		fmt.Fprintf(os.Stderr, "stek: %v\n", exit.err)
	}
	return exit.code
}

// Root is the command with all that is below it.
func Root(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "stek",
		Short: "Rotating TLS session-ticket keys for servers on OpenSSL",
		Long: `stek gives servers on OpenSSL session-ticket keys that rotate, expire and are
destroyed, without compiling the servers again. A small library is loaded into
the server by LD_PRELOAD; the keys come from stek, through shared memory.

Exit codes:
  0    done
  1    failed
  2    the command line cannot be understood
  125  stek run failed before the server ran
  126  stek run: the command cannot be run
  127  stek run: the command is not found
Otherwise stek run exits as the server does: with its code, or with 128 and the
number of the signal that killed it.`,
		Example: `  stek run -- nginx -g 'daemon off;'
  stek agent --store memory: --table /run/stek/table --group www-data
  stek status
  stek doctor -- nginx`,
		Version:           version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	root.AddCommand(runCommand(version), agentCommand(version), statusCommand(), rotateCommand(), revokeCommand(), doctorCommand())
	return root
}

// failed is err with the exit code for what failed.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitFailed, err}
}

// scheme is the part of a store's URI that tells the backend.
func scheme(uri string) string {
	name, _, _ := strings.Cut(uri, ":")
	return name
}

// ignoreBrokenPipe keeps a process that is to live long from dying because
// nobody reads its standard error, or because that is a file at its limit of size.
// Programs that it starts are not touched.
func ignoreBrokenPipe() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
}

// newLogger writes lines of key=value to w. They hold no secret.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
