package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/internal/agent"
	"github.com/go-stek/stek/internal/backends"
)

type agentOptions struct {
	stores  []string
	tables  []string
	owners  []string
	groups  []string
	mode    string
	metrics string

	lifeline int
	ready    int
}

func agentCommand(version string) *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent --table PATH [flags]",
		Short: "Keep ticket keys in a table that servers map",
		Long: `agent is the keystore as a service. It writes ticket keys to a table, a file on
a tmpfs, which any number of servers map through ` + preloadName + `:

  LD_PRELOAD=/usr/lib/stek/` + preloadName + ` STEK_TABLE=PATH nginx

When the agent is started again it goes on with the keys in the table. While it
is away servers use those to the end of their windows. One server that shares no
table with another needs a table of its own: give --table more than once, and
--store, --owner and --group as often, or once for all. With the memory store
every table has keys of its own.

PATH has the keys, and PATH.counts what servers count. Whoever may read PATH can
read every session of the servers on it.`,
		Example: `  stek agent --store memory: --table /run/stek/table --group www-data
  stek agent --table /run/stek/web --group www-data --table /run/stek/mail --group dovecot
  stek agent --store 'memory:?rotation=1h' --table /run/stek/table --metrics 127.0.0.1:9464`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if o.lifeline >= 0 {
				level = slog.LevelWarn // the standard error is the server's
			}
			return o.run(version, newLogger(cmd.ErrOrStderr(), level))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.tables, "table", nil, "path of a key table, on a tmpfs")
	flags.StringArrayVar(&o.stores, "store", []string{"memory:"}, "where keys come from, such as 'memory:?rotation=6h&lifetime=6h'")
	flags.StringArrayVar(&o.owners, "owner", nil, "user who owns the table (default: the one that runs the agent)")
	flags.StringArrayVar(&o.groups, "group", nil, "group that may read the keys (default: that of the agent)")
	flags.StringVar(&o.mode, "mode", "0640", "permissions of the table, in octal: at most 0640")
	flags.StringVar(&o.metrics, "metrics", "", "serve metrics for Prometheus on this address, such as 127.0.0.1:9464")
	// How the library starts an agent for a server that has none.
	flags.IntVar(&o.lifeline, "lifeline-fd", -1, "end when this pipe is closed")
	flags.IntVar(&o.ready, "ready-fd", -1, "write the process number to this pipe when there are keys")
	for _, hidden := range []string{"lifeline-fd", "ready-fd"} {
		_ = flags.MarkHidden(hidden)
	}
	_ = cmd.MarkFlagRequired("table")
	_ = cmd.MarkFlagFilename("table")
	return cmd
}

func (o *agentOptions) run(version string, logger *slog.Logger) error {
	var lifeline *os.File
	if o.lifeline >= 0 {
		lifeline = os.NewFile(uintptr(o.lifeline), "lifeline")
	}
	ended := end(lifeline)
	tables, err := o.open(logger)
	if err != nil {
		if uri := (*backends.URIError)(nil); errors.As(err, &uri) || errors.Is(err, errUsage) {
			return &exitError{exitUsage, err}
		}
		return failed(err)
	}
	defer func() {
		for _, t := range tables {
			_ = t.Close()
		}
	}()
	service, err := startService("agent", version, o.metrics, tables)
	if err != nil {
		return failed(err)
	}
	defer service.close()
	if lifeline != nil {
		handover, err := agent.HandOver(tables[0].Shared, lifeline)
		if err != nil {
			return failed(err)
		}
		defer handover.Close()
	}
	if err := o.tellReady(); err != nil {
		return failed(err)
	}
	for _, t := range tables {
		logger.Info("serving ticket keys", "table", t.Name(), "keys", len(t.Keys()), "pid", os.Getpid())
	}
	<-ended
	logger.Info("ending; servers go on with the keys they have")
	return nil
}

var errUsage = errors.New("command line")

// open opens every table, or none.
func (o *agentOptions) open(logger *slog.Logger) (tables []*agent.Table, err error) {
	defer func() {
		if err != nil {
			for _, t := range tables {
				_ = t.Close()
			}
		}
	}()
	mode, err := strconv.ParseUint(o.mode, 8, 12)
	if err != nil {
		return nil, fmt.Errorf("%w: --mode %q is not an octal number such as 0640", errUsage, o.mode)
	}
	for name, list := range map[string][]string{"store": o.stores, "owner": o.owners, "group": o.groups} {
		if len(list) > 1 && len(list) != len(o.tables) {
			return nil, fmt.Errorf("%w: --%s is given %d times and --table %d times: want as often, or once",
				errUsage, name, len(list), len(o.tables))
		}
	}
	for i, path := range o.tables {
		shared, name, err := openTable(path, agent.Access{
			Owner: pick(o.owners, i),
			Group: pick(o.groups, i),
			Mode:  fs.FileMode(mode),
		})
		if err != nil {
			return tables, err
		}
		t, err := agent.Open(pick(o.stores, i), name, shared, logger)
		if err != nil {
			return tables, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// pick is what the i-th table has of a list that is for all, or one for each.
func pick(list []string, i int) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return list[i]
}

// openTable opens a path, or the two files of a table that were inherited.
func openTable(path string, access agent.Access) (shared *stek.SharedTable, name string, err error) {
	var keys, counts int
	if n, _ := fmt.Sscanf(path, "fd:%d,%d", &keys, &counts); n == 2 {
		shared, err = stek.SharedTableOf(os.NewFile(uintptr(keys), "keys"), os.NewFile(uintptr(counts), "counts"))
		return shared, "", err
	}
	shared, err = agent.OpenFile(path, access)
	return shared, path, err
}

// end returns a channel that is closed when the agent is to end: at a signal, or
// for the agent of one server when no process holds its lifeline any more. Then
// signals are ignored: they may be meant for all that the server started.
func end(lifeline *os.File) <-chan struct{} {
	ended := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGHUP)
	go func() {
		if lifeline != nil {
			await(lifeline)
		} else {
			<-signals
		}
		close(ended)
	}()
	return ended
}

// lingering is how long the agent of one server stays when nobody holds its
// lifeline: a server that executes itself again asks for a new end.
const lingering = 2 * time.Second

// await returns when nobody has held the lifeline for a while.
func await(lifeline *os.File) {
	for {
		_, _ = io.Copy(io.Discard, lifeline)
		time.Sleep(lingering)
		held := []unix.PollFd{{Fd: int32(lifeline.Fd())}}
		if _, err := unix.Poll(held, 0); err != nil || held[0].Revents&unix.POLLHUP != 0 {
			return
		}
	}
}

// tellReady tells whoever started the agent that there are keys.
func (o *agentOptions) tellReady() error {
	if o.ready >= 0 {
		// It stays open: the server sees by it that the agent is there.
		if _, err := unix.Write(o.ready, []byte(strconv.Itoa(os.Getpid()))); err != nil {
			return fmt.Errorf("tell the server that there are keys: %w", err)
		}
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("tell the service manager that there are keys: %w", err)
	}
	return nil
}
