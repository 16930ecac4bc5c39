package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/go-stek/stek/internal/agent"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [PID]",
		Short: "Show keys and counts",
		Long: `status shows the keys of every stek run and stek agent on this host, or of the
process PID alone, and what servers did with them. In a container: of those in
the same network namespace. It answers root and the user that the process runs
as. Times are in local time; no secret is shown.`,
		Example: `  stek status
  stek status --json 4711`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			peers, err := peersOf(cmd.Context(), args)
			if err != nil {
				return err
			}
			all := []agent.Status{}
			failure := each(cmd, peers, func(p agent.Peer) error {
				status, err := p.Status(cmd.Context())
				if err == nil {
					all = append(all, status)
				}
				return err
			})
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string][]agent.Status{"agents": all})
			} else {
				err = writeStatus(cmd.OutOrStdout(), all, time.Now())
			}
			if err != nil {
				return failed(err)
			}
			return failure
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func rotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate [PID]",
		Short: "Make a fresh key current at once",
		Long: `rotate makes a fresh key current in every table of every stek run and stek agent
on this host, or of the process PID alone. The key before it decrypts for a
ticket lifetime more. The schedule goes on from here.`,
		Example: `  stek rotate`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			peers, err := peersOf(cmd.Context(), args)
			if err != nil {
				return err
			}
			return each(cmd, peers, func(p agent.Peer) error { return p.Rotate(cmd.Context()) })
		},
	}
}

func revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke [PID]",
		Short: "Make all tickets worthless at once",
		Long: `revoke destroys all keys in every table of every stek run and stek agent on this
host, or of the process PID alone, and makes a fresh key current. All tickets
that were issued until now are worth nothing then, on every server of these
tables: each client makes a full handshake once, and gets a new ticket.

Use it if a ticket may have been stolen, or after you have revoked a client's
certificate. stek rotate is no help there: it lets the old keys decrypt.

revoke does not end connections that are open, nor sessions in a server's own
cache: restart the servers for that. If an agent has ended, servers still have its
keys: start it again with the same --table, and then revoke.`,
		Example: `  stek revoke
  stek revoke 4711`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			peers, err := peersOf(cmd.Context(), args)
			if err != nil {
				return err
			}
			return each(cmd, peers, func(p agent.Peer) error { return p.Revoke(cmd.Context()) })
		},
	}
}

// peersOf are the process that args names, or all that answer.
func peersOf(ctx context.Context, args []string) ([]agent.Peer, error) {
	pid := 0
	if len(args) == 1 {
		var err error
		if pid, err = strconv.Atoi(args[0]); err != nil || pid <= 0 {
			return nil, &exitError{exitUsage, fmt.Errorf("%q is not a process number", args[0])}
		}
	}
	peers, err := agent.Peers(ctx, pid)
	if errors.Is(err, agent.ErrNoAgent) && pid != 0 {
		err = fmt.Errorf("process %d: %w", pid, err)
	}
	return peers, failed(err)
}

// each does something with every process: one that fails does not keep the others
// from it.
func each(cmd *cobra.Command, peers []agent.Peer, do func(agent.Peer) error) error {
	var failure error
	for _, p := range peers {
		if err := do(p); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "stek:", err)
			failure = &exitError{code: exitFailed}
		}
	}
	return failure
}

func writeStatus(out io.Writer, all []agent.Status, now time.Time) error {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "stek %s, process %d\n", s.Command, s.PID)
		for _, t := range s.Tables {
			writeTable(w, t, now)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	// What another user's process says of itself may be meant for a terminal.
	_, err := io.WriteString(out, agent.Printable(text.String()))
	return err
}

func writeTable(w io.Writer, t agent.TableStatus, now time.Time) {
	fmt.Fprintf(w, "\ntable %s, store %s\n", t.Table, t.Store)
	if t.Error != "" {
		fmt.Fprintf(w, "failing: %s\n", t.Error)
	}
	fmt.Fprintln(w, "\nKEY\tSTATE\tENCRYPTS\tDECRYPTS UNTIL\tISSUED\tRENEWED\tACCEPTED\tAS PREVIOUS")
	for _, k := range t.Keys {
		fmt.Fprintf(w, "%.8s\t%s\t%s - %s\t%s\t%d\t%d\t%d\t%d\n", k.Name, k.State,
			clock(k.NotBefore, now), clock(k.NotAfter, now), clock(k.DecryptUntil, now),
			k.Issued, k.Renewed, k.Accepted, k.AcceptedPrevious)
	}
	c := t.Counts
	fmt.Fprintln(w)
	for _, row := range []struct {
		count uint64
		what  string
	}{
		{c.Issued, "tickets issued"},
		{c.Accepted, "tickets accepted"},
		{c.AcceptedPrevious, "  of these under a previous key"},
		{c.Renewed, "  of these renewed"},
		{c.Aged, "  of these refused: the client authenticated too long ago"},
		{c.Refused, "  of these refused by the server, as far as known: session id context, timeout or cipher"},
		{c.Unknown, "tickets refused: unknown key name"},
		{c.Expired, "tickets refused: expired key"},
		{c.Limited, "tickets not looked at: too many in one ClientHello"},
		{c.Unplaced, "tickets not looked at or not issued: where they may resume cannot be told"},
		{c.Marked, "tickets not looked at: the server name leads to different contexts"},
		{c.Misplaced, "handshakes ended: resumed, then led to a context that verifies clients otherwise"},
		{c.Declined, "tickets not issued: no current key, no known server name, or an error"},
		{c.Errors, "errors"},
		{c.Contexts, "contexts seen (SSL_CTX)"},
		{c.Displaced, "ticket callbacks of servers displaced"},
		{c.TicketsOff, "contexts with tickets switched off, at their first connection"},
		{c.TicketsForced, "  of these forced on"},
		{c.TicketsStateful, "contexts with stateful TLS 1.3 tickets (early data with anti-replay)"},
		{c.TicketsNone13, "contexts that send no TLS 1.3 ticket"},
		{c.RefreshErrors, "refreshes failed"},
		{c.UnprotectedMemory, "protections of the keys' memory refused by the system"},
	} {
		fmt.Fprintf(w, "%10d  %s\n", row.count, row.what)
	}
}

// clock is a time of day, with the date if it is not today's.
func clock(t *time.Time, now time.Time) string {
	switch {
	case t == nil:
		return "always"
	case t.Local().Format(time.DateOnly) == now.Local().Format(time.DateOnly):
		return t.Local().Format(time.TimeOnly)
	}
	return t.Local().Format("Jan _2 15:04")
}
