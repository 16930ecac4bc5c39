package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/go-stek/stek/internal/agent"
	"github.com/go-stek/stek/internal/doctor"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor {PID | -- COMMAND [ARGUMENT...]}",
		Short: "Tell whether stek can serve a server, and what stands in the way",
		Long: `doctor looks at a server, as it would be started or as it runs, and tells in plain
words whether stek can give it ticket keys, what stands in the way, and the line
of its configuration to change. It runs no other program: it reads programs,
configuration files and /proc. Of a process it also reads what the table of keys
has counted, if its stek run or stek agent answers this user.

Exit codes: 0 if tickets will have the keys of stek, 1 if something stands in the
way or doctor cannot tell.`,
		Example: `  stek doctor -- nginx
  stek doctor -- haproxy -W -f /etc/haproxy/haproxy.cfg
  stek doctor 4711`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if library, err := (&runOptions{}).findPreload(); err == nil {
				doctor.Preload = library
			}
			report, err := examine(cmd, args)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			} else {
				err = report.Write(cmd.OutOrStdout())
			}
			if err != nil {
				return failed(err)
			}
			if report.Verdict() != doctor.Good {
				return &exitError{code: exitFailed}
			}
			return nil
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// examine looks at a process if that is what args are, else at a command.
func examine(cmd *cobra.Command, args []string) (doctor.Report, error) {
	if cmd.ArgsLenAtDash() != 0 {
		pid, err := strconv.Atoi(args[0])
		if err != nil || len(args) > 1 {
			return doctor.Report{}, &exitError{exitUsage,
				fmt.Errorf("doctor takes a process number, or -- and a command: %q is neither", args[0])}
		}
		report, err := doctor.Process(pid, statuses(cmd.Context()))
		return report, failed(err)
	}
	report, err := doctor.Command(args, os.Environ())
	return report, failed(err)
}

// statuses are those of every stek that answers this user. Without one doctor tells
// from files alone.
func statuses(ctx context.Context) []agent.Status {
	peers, err := agent.Peers(ctx, 0)
	if err != nil {
		return nil
	}
	var all []agent.Status
	for _, p := range peers {
		if s, err := p.Status(ctx); err == nil {
			all = append(all, s)
		}
	}
	return all
}
