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

	"github.com/go-stek/stek/backend"
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
is away servers use those to the end of their windows. Servers that are not to read
one another's tickets need different tables: give --table more than once, and
--store, --owner and --group as often, or once for all. With the memory store
every table has keys of its own. STEK_STORE and STEK_METRICS in the environment
stand for --store and --metrics.

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
	flags.StringArrayVar(&o.stores, "store", []string{fromEnvironment("STEK_STORE", "memory:")}, "where keys come from, such as 'memory:?rotation=6h&lifetime=6h'")
	flags.StringArrayVar(&o.owners, "owner", nil, "user who owns the table (default: the one that runs the agent)")
	flags.StringArrayVar(&o.groups, "group", nil, "group that may read the keys (default: that of the agent)")
	flags.StringVar(&o.mode, "mode", "0640", "permissions of the table, in octal: at most 0640")
	flags.StringVar(&o.metrics, "metrics", fromEnvironment("STEK_METRICS", ""), "serve metrics for Prometheus on this address, such as 127.0.0.1:9464")
	// How the library starts an agent for a server that has none.
	flags.IntVar(&o.lifeline, "lifeline-fd", -1, "end when no server holds the other end of this pipe or maps the table")
	flags.IntVar(&o.ready, "ready-fd", -1, "when there are keys, write to this pipe the name of the socket that hands the table over, and keep the pipe open")
	for _, hidden := range []string{"lifeline-fd", "ready-fd"} {
		_ = flags.MarkHidden(hidden)
	}
	_ = cmd.MarkFlagRequired("table")
	_ = cmd.MarkFlagFilename("table")
	return cmd
}

func (o *agentOptions) run(version string, logger *slog.Logger) error {
	ignoreBrokenPipe()
	var lifeline *os.File
	if o.lifeline >= 0 {
		lifeline = os.NewFile(uintptr(o.lifeline), "lifeline")
	}
	tables, err := o.open(logger)
	if err != nil {
		if errors.Is(err, agent.ErrUsage) || errors.As(err, new(*backends.URIError)) {
			return &exitError{exitUsage, err}
		}
		return failed(err)
	}
	defer func() {
		for _, t := range tables {
			_ = t.Close()
		}
	}()
	service, err := startService("agent", version, o.metrics, tables, logger)
	if err != nil {
		return failed(err)
	}
	defer service.close()
	ended := end(lifeline, tables[0])
	if o.ready >= 0 {
		ready := os.NewFile(uintptr(o.ready), "ready")
		defer ready.Close()
		handover, err := agent.HandOver(tables[0].Shared, &agent.Pipes{Lifeline: lifeline, Pulse: ready})
		if err != nil {
			return failed(err)
		}
		defer handover.Close()
		if err := tellServer(ready, handover.Name); err != nil {
			return failed(err)
		}
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return failed(fmt.Errorf("tell the service manager that there are keys: %w", err))
	}
	for _, t := range tables {
		logger.Info("serving ticket keys", "table", t.Name(), "keys", len(t.Keys()), "pid", os.Getpid())
	}
	<-ended
	logger.Info("ending; servers go on with the keys they have")
	return nil
}

// open opens every table, or none. It looks at all that was asked for before it
// touches a file.
func (o *agentOptions) open(logger *slog.Logger) (tables []*agent.Table, err error) {
	mode, err := strconv.ParseUint(o.mode, 8, 12)
	if err != nil {
		return nil, fmt.Errorf("%w: --mode %q is not an octal number such as 0640", agent.ErrUsage, o.mode)
	}
	for name, list := range map[string][]string{"store": o.stores, "owner": o.owners, "group": o.groups} {
		if len(list) > 1 && len(list) != len(o.tables) {
			return nil, fmt.Errorf("%w: %d of --%s and %d of --table: give as many, or one for all",
				agent.ErrUsage, len(list), name, len(o.tables))
		}
	}
	sources, err := o.sources()
	if err != nil {
		return nil, err
	}
	for i, path := range o.tables {
		var t *agent.Table
		source := sources[0]
		sources = sources[1:] // it is taken over
		if t, err = openTable(source, scheme(pick(o.stores, i)), path, agent.Access{
			Owner: pick(o.owners, i),
			Group: pick(o.groups, i),
			Mode:  fs.FileMode(mode),
		}, logger); err != nil {
			break
		}
		tables = append(tables, t)
	}
	if err == nil {
		return tables, nil
	}
	for _, source := range sources {
		_ = source.Close()
	}
	for _, t := range tables {
		_ = t.Close()
	}
	return nil, err
}

// sources opens a store for each table.
func (o *agentOptions) sources() ([]backend.Source, error) {
	var sources []backend.Source
	for i := range o.tables {
		source, err := backends.Open(pick(o.stores, i))
		if err != nil {
			for _, s := range sources {
				_ = s.Close()
			}
			return nil, err
		}
		sources = append(sources, source)
	}
	return sources, nil
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

// fromEnvironment is a variable's value, or other if it is not set: a command line
// is no place for a password that a URI may hold.
func fromEnvironment(variable, other string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return other
}

// openTable opens a path, or the two files of a table that were inherited. It takes
// source over, also on an error.
func openTable(source backend.Source, store, path string, access agent.Access, logger *slog.Logger) (*agent.Table, error) {
	var keys, counts int
	if n, _ := fmt.Sscanf(path, "fd:%d,%d", &keys, &counts); n != 2 || path != fmt.Sprintf("fd:%d,%d", keys, counts) {
		return agent.OpenAt(source, store, path, access, logger)
	}
	shared, err := agent.Inherited(keys, counts)
	if err != nil {
		_ = source.Close()
		return nil, err
	}
	return agent.Open(source, store, "", shared, logger)
}

// end returns a channel that is closed when the agent is to end: at a signal, or
// for the agent of one server when no process of that server is left. Then
// signals are ignored: they may be meant for all that the server started.
func end(lifeline *os.File, table *agent.Table) <-chan struct{} {
	ended := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	signal.Ignore(syscall.SIGHUP)
	go func() {
		if lifeline != nil {
			await(lifeline, table)
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

// await returns when for a while nobody has held the lifeline, nor had the table
// mapped, as a server has that closes all its files.
func await(lifeline *os.File, table *agent.Table) {
	_, _ = io.Copy(io.Discard, lifeline)
	for looks := 0; looks < 2; {
		time.Sleep(lingering / 2)
		held := []unix.PollFd{{Fd: int32(lifeline.Fd())}}
		n, err := unix.Poll(held, 0)
		looks++
		if err != nil || n == 0 || table.IsMapped() {
			looks = 0
		}
	}
}

// tellServer tells the server that started this agent how to ask for the table, and so
// that there are keys. The pipe stays open: the server sees by it that the agent lives.
func tellServer(ready *os.File, socket string) error {
	if _, err := io.WriteString(ready, socket); err != nil {
		return fmt.Errorf("tell the server that there are keys: %w", err)
	}
	return nil
}
