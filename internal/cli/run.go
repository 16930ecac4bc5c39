package cli

import (
	"debug/elf"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/go-stek/stek"
	"github.com/go-stek/stek/internal/agent"
	"github.com/go-stek/stek/internal/backends"
	"github.com/go-stek/stek/internal/supervise"
)

// longestGroup is the longest name group in bytes.
const longestGroup = 255

// preloadName is the library that is loaded into servers.
const preloadName = "libstek-preload.so"

type runOptions struct {
	store     string
	preload   string
	metrics   string
	nameGroup string
	auth      string
	force     bool
}

func runCommand(version string) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a server with rotating ticket keys",
		Long: `run starts a server with ticket keys from a keystore in this process, which is
the server's parent: it forwards signals, reaps what is orphaned (so it can be
the first process of a container), follows a server into the background, and
exits as the server does. Signals that are ignored when run starts, as under
nohup, are ignored by the server until it handles them; SIGCHLD is not.

The server loads ` + preloadName + `. Once it serves, programs that it starts get
the same environment, but not the keys, unless they serve TLS themselves. If this
process is killed the server goes on with the keys it has, to the end of their
windows; then it makes full handshakes.`,
		Example: `  stek run -- nginx -g 'daemon off;'
  stek run --store 'memory:?rotation=1h&lifetime=2h' -- haproxy -W -f /etc/haproxy/haproxy.cfg
  stek run --metrics 127.0.0.1:9464 -- apachectl -D FOREGROUND`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(version, args, newLogger(cmd.ErrOrStderr(), slog.LevelInfo))
		},
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringVar(&o.store, "store", "memory:", "where keys come from, such as 'memory:?rotation=6h&lifetime=6h'")
	flags.StringVar(&o.preload, "preload", "", "the library to load (default: the one installed with this program)")
	flags.StringVar(&o.metrics, "metrics", "", "serve metrics for Prometheus on this address, such as 127.0.0.1:9464")
	flags.StringVar(&o.nameGroup, "name-group", "", "let tickets resume under every server name, for names that are one site: any text, the same on all its servers")
	flags.StringVar(&o.auth, "client-auth", "", "where clients are verified, let tickets resume at every context and over reloads: any text, the same on all servers that accept the same clients")
	flags.BoolVar(&o.force, "force-tickets", false, "switch tickets on even if the server's configuration has them off")
	return cmd
}

func (o *runOptions) run(version string, argv []string, logger *slog.Logger) error {
	ignoreBrokenPipe()
	if len(o.nameGroup) > longestGroup {
		return &exitError{exitUsage, fmt.Errorf("--name-group has %d bytes, and may have %d", len(o.nameGroup), longestGroup)}
	}
	if len(o.auth) > longestGroup {
		return &exitError{exitUsage, fmt.Errorf("--client-auth has %d bytes, and may have %d", len(o.auth), longestGroup)}
	}
	preload, err := o.findPreload()
	if err != nil {
		return &exitError{exitRun, err}
	}
	source, err := backends.Open(o.store)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	shared, err := stek.NewSharedTable()
	if err != nil {
		_ = source.Close()
		return &exitError{exitRun, err}
	}
	table, err := agent.Open(source, scheme(o.store), "", shared, logger)
	if err != nil {
		return &exitError{exitRun, err}
	}
	defer table.Close()
	service, err := startService("run", version, o.metrics, []*agent.Table{table}, logger)
	if err != nil {
		return &exitError{exitRun, err}
	}
	defer service.close()
	handover, err := agent.HandOver(shared, nil)
	if err != nil {
		return &exitError{exitRun, err}
	}
	defer handover.Close()
	if o.force {
		logger.Warn("session tickets are switched on even where the server's configuration has them off")
	}
	process, err := supervise.Start(argv, o.environ(preload, shared, handover.Name))
	if err != nil {
		if start := (*supervise.StartError)(nil); errors.As(err, &start) {
			return &exitError{start.Code, err}
		}
		return &exitError{exitRun, err}
	}
	if code := process.Wait(); code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// environ is that of this process, with what the library needs to know.
func (o *runOptions) environ(preload string, shared *stek.SharedTable, socket string) []string {
	var environ []string
	others := ""
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case name == "LD_PRELOAD":
			others = ":" + value
		case name == "STEK_NAME_GROUP" && o.nameGroup == "", name == "STEK_CLIENT_AUTH" && o.auth == "", name == "STEK_FORCE_TICKETS" && !o.force:
			environ = append(environ, variable)
		case strings.HasPrefix(name, "STEK_"):
		default:
			environ = append(environ, variable)
		}
	}
	keys, counts := shared.Files()
	environ = append(environ,
		"LD_PRELOAD="+strings.TrimSuffix(preload+others, ":"),
		fmt.Sprintf("STEK_TABLE=fd:%d,%d@%s", keys.Fd(), counts.Fd(), socket))
	if o.nameGroup != "" {
		environ = append(environ, "STEK_NAME_GROUP="+o.nameGroup)
	}
	if o.auth != "" {
		environ = append(environ, "STEK_CLIENT_AUTH="+o.auth)
	}
	if o.force {
		environ = append(environ, "STEK_FORCE_TICKETS=1")
	}
	return environ
}

// findPreload looks for the library beside this program, and where it is
// installed.
func (o *runOptions) findPreload() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", preloadName, err)
	}
	folder := filepath.Dir(program)
	places := []string{
		filepath.Join(folder, preloadName),
		filepath.Join(folder, "../lib/stek", preloadName),
		filepath.Join(folder, "../lib", preloadName),
	}
	if o.preload != "" {
		places = []string{o.preload}
	}
	for _, place := range places {
		place, err := filepath.Abs(place)
		if err != nil {
			return "", err
		}
		if strings.ContainsAny(place, ": ") {
			return "", fmt.Errorf("%s: LD_PRELOAD takes no path with a colon or a space", place)
		}
		library, err := elf.Open(place)
		if err == nil {
			_ = library.Close()
			return place, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%s is no library: %w", place, err)
		}
	}
	return "", fmt.Errorf("%s is not in any of %s: give --preload", preloadName, strings.Join(places, ", "))
}
