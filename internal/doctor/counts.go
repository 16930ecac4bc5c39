package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/go-stek/stek/internal/agent"
)

// checkCounts says what the agent of the table file in p has counted: a server
// that makes contexts through stek is reached, whatever its files look like.
func (t *target) checkCounts(p, master *process, file mappedFile, agents []agent.Status) {
	writer, counts := countsOf(file, agents)
	if counts == nil {
		if t.report.Verdict() == Unknown {
			t.add(Finding{Note, "no-counts", "Its stek run or stek agent does not answer here", nil, "The counts of its table would tell. Ask as root, and in its network namespace.", ""})
		}
		return
	}
	seen := fmt.Sprintf("Contexts seen: %d. Tickets issued: %d, accepted: %d.", counts.Contexts, counts.Issued, counts.Accepted)
	const code = "counts"
	others := sharers(p, master, writer, file)
	switch {
	case counts.Contexts == 0:
		t.add(Finding{Unknown, code, "stek has seen no TLS context of it yet", nil,
			"Some servers make theirs at the first connection: make one, and ask again. If none is counted then, they come from elsewhere: from another TLS library, or through a pointer that passes stek by.", ""})
	case len(others) > 0:
		t.add(Finding{Note, code, "Its table counts for other servers, too", nil,
			fmt.Sprintf("%s These are of all that read this table, process %d among them.", seen, others[0]), ""})
	case counts.Issued == 0 && counts.TicketsOff > counts.TicketsForced:
		t.add(Finding{Off, code, "Session tickets are switched off in its TLS contexts", nil,
			fmt.Sprintf("%s When they were first used, %d had tickets switched off.", seen, counts.TicketsOff), ""})
		t.trust(false)
	default:
		t.add(Finding{Good, code, "stek serves its TLS contexts", nil, seen, ""})
		t.trust(counts.Issued > 0)
	}
}

// trust takes back what only files made us think of how the server does TLS and, if
// it has issued tickets, what we could not tell.
func (t *target) trust(issued bool) {
	guesses := []string{"no-tls", "no-caller", "openssl-indirect", "foreign-tls", "foreign-indirect", "static-tls", "go", "java"}
	t.report.Findings = slices.DeleteFunc(t.report.Findings, func(f Finding) bool {
		return slices.Contains(guesses, f.Code) || issued && f.Severity == Unknown
	})
}

// countsOf finds the agent, or stek run, that has the same file in memory. It
// returns nil if none of those that we may ask has.
func countsOf(file mappedFile, agents []agent.Status) (pid int, counts *agent.Counts) {
	for _, a := range agents {
		for _, f := range filesOf(a.PID) {
			for _, table := range a.Tables {
				if f.id == file.id && (f.path == table.Table || len(a.Tables) == 1) {
					return a.PID, &table.Counts
				}
			}
		}
	}
	return 0, nil
}

func filesOf(pid int) []mappedFile {
	maps, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "maps"))
	return parseMaps(string(maps))
}

// sharers are the processes with the same table that belong to another server.
func sharers(p, master *process, writer int, file mappedFile) []int {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	above := ancestors(p.pid)
	var others []int
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if pid == writer || slices.Contains(ancestors(pid), master.pid) || slices.Contains(above, pid) {
			continue
		}
		if slices.ContainsFunc(filesOf(pid), func(f mappedFile) bool { return f.id == file.id }) {
			others = append(others, pid)
		}
	}
	return others
}

// ancestors are a process and those it descends from.
func ancestors(pid int) []int {
	var list []int
	for pid > 0 && !slices.Contains(list, pid) {
		list = append(list, pid)
		p := process{pid: pid}
		p.readStatus()
		pid = p.parent
	}
	return list
}
