package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-stek/stek/internal/agent"
)

// codeNotLoaded is the finding of a process that was started without stek.
const codeNotLoaded = "not-loaded"

// Process examines the running process pid: what it has loaded, from where,
// and what its configuration says. For a worker it reads the command line of
// its master. Where one of agents writes the table that it reads, the counts say
// whether it is reached. The error says that there is no such process, or that we
// may not look into it; root may.
func Process(pid int, agents []agent.Status) (Report, error) {
	p, err := readProcess(pid)
	if err != nil {
		return Report{}, err
	}
	report := Report{Subject: fmt.Sprintf("process %d (%s), uid %s", pid, p.name, p.uid), Program: p.exe}
	master := p.master()
	t := &target{
		place: place{root: p.root, dir: master.dir}, argv: master.command(), env: master.env,
		program: p.exe, image: p.file("exe"), report: &report,
	}
	if master != p {
		t.add(Finding{Note, "worker", fmt.Sprintf("This is a worker of process %d", master.pid), nil,
			"What is to be changed, is to be changed where that one is started.", ""})
		if server := serverOf(master.exe); server != nil && server.name == "nginx" {
			t.argv[0] = master.exe
		}
	}
	t.checkFile(t.mapped(p))
	if f := report.Find("config-unreadable"); f != nil && filepath.Dir(f.Places[0].File) == t.dir {
		f.Detail += " The server may have left the folder in which it was started: give it a file with an absolute name."
	}
	t.checkLoaded(p, master, agents)
	report.arrange()
	return report, nil
}

// mapped returns the shared objects of a process. Of one that was deleted we
// know the name only.
func (t *target) mapped(p *process) []library {
	var libs []library
	for _, f := range p.files {
		if f.path == p.exe || !strings.Contains(filepath.Base(f.path), ".so") {
			continue
		}
		lib := library{object: object{path: f.path}, name: filepath.Base(f.path)}
		if obj, err := t.object(f.path); err == nil && !f.deleted {
			lib.object = obj
		}
		libs = append(libs, lib)
	}
	return libs
}

// preloadName is how the file of our preload is called.
const preloadName = "libstek-preload"

// checkLoaded says whether the preload is in the process, what it reads, and what
// came of it.
func (t *target) checkLoaded(p, master *process, agents []agent.Status) {
	named := strings.Contains(p.env["LD_PRELOAD"], preloadName)
	i := slices.IndexFunc(p.files, func(f mappedFile) bool { return strings.HasPrefix(filepath.Base(f.path), preloadName) })
	if i < 0 {
		t.notLoaded(p, master, named)
		return
	}
	// What would keep it out did not.
	t.report.Findings = slices.DeleteFunc(t.report.Findings, func(f Finding) bool { return f.Code == "environment-filtered" || f.Code == "sanitizer" })
	preload := p.files[i]
	t.add(Finding{Good, "loaded", "stek is loaded", []Place{{File: preload.path}}, "", ""})
	for _, f := range p.files {
		if !f.deleted {
			continue
		}
		switch base := filepath.Base(f.path); {
		case strings.HasPrefix(base, "libssl.so"), strings.HasPrefix(base, "libcrypto.so"), strings.HasPrefix(base, preloadName):
			t.add(Finding{Note, "upgraded", base + " was replaced since this process started", []Place{{File: f.path}}, "The process still runs the old one. Restart it.", ""})
		}
	}
	if table := t.checkTable(p); table != nil {
		t.checkCounts(p, master, *table, agents)
	}
}

func (t *target) notLoaded(p, master *process, named bool) {
	if p.secure {
		t.add(Finding{Blocks, "secure-mode", "It was started in secure mode: LD_PRELOAD is ignored", []Place{{File: p.exe}},
			"The file is setuid or setgid or has capabilities, or a security module asks for it, or the program that started it had another effective than real user, as Traffic Server's traffic_manager has.", ""})
		return
	}
	if t.report.Verdict() == Blocks {
		return // that comes first
	}
	f := Finding{Off, codeNotLoaded, "stek is not loaded in this process", nil,
		"It was started without. A running process cannot be changed: start it again like this:", "stek run -- " + shownCommand(t.argv)}
	if master.unit != "" {
		f.Change = dropIn(master.unit) + "\nsystemctl restart " + master.unit
	}
	if p.root != "" && master.unit == "" { // units have file systems of their own too
		f.Detail = "It was started without, in a container. Put stek into the image and let the image's command begin with:"
		f.Change = "stek run --"
	}
	if named {
		f.Detail = "LD_PRELOAD names it, yet the dynamic linker did not load it: is the file there, can this user read it, is it for this machine? The server's first messages tell. Start it again like this:"
	}
	t.add(f)
}

// checkTable says from which table the preload in p takes its keys, and returns
// the file, nil if there is none that is written to.
func (t *target) checkTable(p *process) *mappedFile {
	table := p.env["STEK_TABLE"]
	isPath := filepath.IsAbs(table)
	i := slices.IndexFunc(p.files, func(f mappedFile) bool {
		return isPath && f.path == filepath.Clean(table) || t.isTable(f.path)
	})
	store, _, _ := strings.Cut(p.env["STEK_STORE"], ":")
	switch {
	case i < 0 && p.env["PATH"] == "" && table == "" && store == "":
		t.add(Finding{Unknown, "no-table", "No table of keys is seen in it", nil,
			"The server has written over its environment, so it cannot be told whether STEK_TABLE or STEK_STORE was set when it started. Its first messages tell what failed.", ""})
	case i < 0 && table == "" && store == "":
		t.add(Finding{Off, "no-table", "It has no table of keys", nil, "Neither STEK_TABLE nor STEK_STORE was set when it started.", ""})
	case i < 0 && table == "":
		t.add(Finding{Unknown, "no-table", "It has no table of keys yet", nil,
			"STEK_STORE names a store of the kind " + store + ". An agent is started for it when the server makes its first TLS context; its standard error tells if that failed.", ""})
	case i < 0:
		f := Finding{Off, "no-table", "It does not read the table that STEK_TABLE names", nil,
			"The table was not there or not readable when the server started. Start the agent first, then the server.", ""}
		if isPath {
			f.Places = []Place{{File: table}}
		}
		t.add(f)
	case isInMemory(p.files[i].path):
		t.add(Finding{Good, "table", "It takes its keys from a table in memory", nil, "One that its agent or stek run made; no other process finds it by a name.", ""})
		return &p.files[i]
	case p.files[i].deleted:
		t.add(Finding{Off, "table-replaced", "The table it reads was deleted or replaced", []Place{{File: p.files[i].path}},
			"It sees no key that came later. Restart the server; write tables in place.", ""})
	default:
		t.add(Finding{Good, "table", "It takes its keys from this table", []Place{{File: p.files[i].path}}, "", ""})
		return &p.files[i]
	}
	return nil
}

// isInMemory knows the names that Linux gives to files of memfd_create(2), with
// the name that stek passes, and of memfd_secret(2).
func isInMemory(path string) bool {
	return path == "/memfd:stek-keys" || path == "/secretmem"
}

// isTable knows a table where the environment is not readable any more: the
// counts lie beside the keys.
func (t *target) isTable(path string) bool {
	return isInMemory(path) || t.isFile(path+".counts")
}
