package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A wrapper is a program that starts another. It returns the command that it
// starts, or false after a finding that says why we do not know or why the
// environment does not get there.
type wrapper func(t *target, name string, args []string) (rest []string, known bool)

// wrappers by base name. Those with a list of letters pass the environment on;
// the letters, and the long names after them, are their options that take a value.
var wrappers = map[string]wrapper{
	"env":  throughEnv,
	"sh":   throughShell,
	"bash": throughShell,
	"dash": throughShell,
	"stek": throughStek,

	"nice":             plain("n", "adjustment"),
	"nohup":            plain(""),
	"setsid":           plain(""),
	"ionice":           plain("cnpPu", "class", "classdata"),
	"choom":            plain("n", "adjust"),
	"prlimit":          plain(""),
	"numactl":          plain("ipmNC", "interleave", "preferred", "membind", "cpunodebind", "physcpubind"),
	"unshare":          plain("SGRw", "setuid", "setgid", "root", "wd", "propagation", "setgroups", "map-user", "map-group", "map-users", "map-groups", "monotonic", "boottime"),
	"ip":               throughNetns,
	"stdbuf":           plain("ioe", "input", "output", "error"),
	"time":             plain("fo", "format", "output"),
	"strace":           plain("eopsuabIOPSXE"),
	"valgrind":         plain(""),
	"aa-exec":          plain("pn", "profile", "namespace"),
	"dbus-run-session": plain("", "config-file", "dbus-daemon"),
	"systemd-cat":      plain("tp", "identifier", "priority", "stderr-priority", "level-prefix"),
	"tini":             plain("pe"),
	"dumb-init":        plain("r", "rewrite"),
	"catatonit":        plain("P"),
	"timeout":          skipping(1, "ks", "kill-after", "signal"),
	"taskset":          skipping(1, ""),
	"chrt":             skipping(1, "TPD", "sched-runtime", "sched-period", "sched-deadline"),
	"flock":            skipping(1, "wE", "timeout", "wait", "conflict-exit-code"),
	"chroot":           throughChroot,

	"setpriv": throughSetpriv,
	"gosu":    skipping(1, ""),
	"su-exec": skipping(1, ""),
	"su":      throughSu,
	"runuser": throughSu,
	// Of runit, daemontools and s6.
	"chpst":          plain("uUbe/Cnlmdopfct"),
	"softlimit":      plain("adsmlofprct"),
	"pgrphack":       plain(""),
	"with-contenv":   plain(""),
	"setuidgid":      skipping(1, ""),
	"envuidgid":      skipping(1, ""),
	"envdir":         skipping(1, ""),
	"setlock":        skipping(1, ""),
	"s6-setuidgid":   skipping(1, ""),
	"s6-envuidgid":   skipping(1, ""),
	"s6-envdir":      skipping(1, ""),
	"s6-setlock":     skipping(1, "t"),
	"s6-softlimit":   plain("adsmlofprct"),
	"s6-applyuidgid": plain("ugG"),

	"sudo":      drops("sudo stek run -- "),
	"doas":      drops("doas stek run -- "),
	"pkexec":    drops(""),
	"systemctl": fromSystemd, "service": fromSystemd, "systemd-run": fromSystemd,
	"docker": fromContainer, "podman": fromContainer, "nerdctl": fromContainer,

	"start-stop-daemon": throughStartStop,
	"supervisord":       starts, "circusd": starts, "runsvdir": starts, "runsv": starts,
	"s6-svscan": starts, "s6-supervise": starts, "nsenter": starts, "bwrap": starts, "firejail": starts,
}

// plain wrappers are followed by their options and then the command.
func plain(letters string, names ...string) wrapper { return skipping(0, letters, names...) }

// skipping wrappers have n words between their options and the command.
func skipping(n int, letters string, names ...string) wrapper {
	return func(t *target, name string, args []string) ([]string, bool) {
		for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
			option := args[0]
			args = args[1:]
			if option == "--" {
				break
			}
			if takesNext(option, letters, names) && len(args) > 0 {
				args = args[1:]
			}
		}
		if len(args) <= n {
			return t.noCommand(name)
		}
		args = args[n:]
		if args[0] == "-c" { // as flock(1) has it behind the file
			return throughShell(t, name, args)
		}
		return args, true
	}
}

// takesNext reports that an option's value is the next word: that of a long name
// without =, or of the last of some letters.
func takesNext(option, letters string, names []string) bool {
	if name, long := strings.CutPrefix(option, "--"); long {
		return slices.Contains(names, name)
	}
	rest, short := strings.CutPrefix(option, "-")
	i := strings.IndexAny(rest, letters)
	return short && i >= 0 && i+1 == len(rest)
}

func (t *target) noCommand(name string) ([]string, bool) {
	t.add(Finding{Unknown, "no-command", "We do not see which command " + name + " starts", nil, "Name the server itself. Or: " + ask, ""})
	return nil, false
}

func throughEnv(t *target, name string, args []string) ([]string, bool) {
	const behind = "Put stek run between env and the server."
	cleared := ""
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		option, value, hasValue := strings.Cut(word, "=")
		if len(word) > 2 && strings.HasPrefix(word, "-") && strings.ContainsAny(word[1:2], "uCS") {
			option, value, hasValue = word[:2], word[2:], true
		}
		if !hasValue && len(args) > 0 && slices.Contains([]string{"-u", "--unset", "-C", "--chdir", "-S", "--split-string"}, option) {
			value, args = args[0], args[1:]
		}
		switch option {
		case "--":
		case "-i", "-", "--ignore-environment":
			cleared = "env " + word + " clears the environment, and LD_PRELOAD with it"
			t.env = map[string]string{"PATH": t.env["PATH"]}
		case "-u", "--unset":
			if value == "LD_PRELOAD" {
				cleared = "env takes LD_PRELOAD out of the environment"
			}
			delete(t.env, value)
		case "-C", "--chdir":
			t.dir = t.abs(value)
		case "-S", "--split-string":
			if strings.ContainsAny(value, "\\\"'$#") {
				return t.noCommand(name)
			}
			args = append(strings.Fields(value), args...)
		default:
			switch {
			case strings.HasPrefix(word, "-"):
			case hasValue:
				t.assign(name, option, value)
			default:
				if cleared != "" && !strings.Contains(t.env["LD_PRELOAD"], preloadName) {
					t.add(Finding{Blocks, "env-cleared", cleared, nil, behind, ""})
				}
				return append([]string{word}, args...), true
			}
		}
	}
	return t.noCommand(name)
}

// assign sets a variable for the command that a wrapper starts.
func (t *target) assign(wrapper, variable, value string) {
	if variable == "LD_PRELOAD" && !strings.Contains(value, preloadName) {
		t.add(Finding{Blocks, "env-replaced", wrapper + " sets another LD_PRELOAD after stek's", nil, "Put stek run between " + wrapper + " and the server.", ""})
	}
	t.env[variable] = value
}

// throughShell follows sh -c with a single simple command.
func throughShell(t *target, name string, args []string) ([]string, bool) {
	if len(args) >= 2 && strings.HasPrefix(args[0], "-") && strings.HasSuffix(args[0], "c") && !strings.ContainsAny(args[1], "|&;<>()$`\\\"'*?[]{}!#~\n") {
		words := strings.Fields(args[1])
		if len(words) > 0 && words[0] == "exec" {
			words = words[1:]
		}
		i := slices.IndexFunc(words, func(w string) bool { return !strings.Contains(w, "=") })
		if i >= 0 {
			for _, word := range words[:i] {
				variable, value, _ := strings.Cut(word, "=")
				t.assign(name, variable, value)
			}
			if words = words[i:]; words[0] == "exec" && len(words) > 1 {
				words = words[1:]
			}
			return words, true
		}
	}
	t.add(Finding{Unknown, "shell-script", "A shell decides what is started", nil,
		"LD_PRELOAD reaches what it starts, but we cannot tell what that is. Name the server itself. Or: " + ask, ""})
	return nil, false
}

// throughStek follows stek run, which sets the environment anew.
func throughStek(t *target, name string, args []string) ([]string, bool) {
	if len(args) == 0 || args[0] != "run" {
		return t.noCommand(name)
	}
	rest, known := plain("", "store", "preload", "metrics", "name-group")(t, name, args[1:])
	if known {
		isOurs := func(f Finding) bool { return f.Code == "env-cleared" || f.Code == "env-replaced" }
		t.report.Findings = slices.DeleteFunc(t.report.Findings, isOurs)
		options := args[:len(args)-len(rest)]
		for i, word := range options {
			if group, ok := strings.CutPrefix(word, "--name-group="); ok {
				t.env["STEK_NAME_GROUP"] = group
			} else if word == "--name-group" && i+1 < len(options) {
				t.env["STEK_NAME_GROUP"] = options[i+1]
			}
		}
		if slices.Contains(options, "--force-tickets") || slices.Contains(options, "--force-tickets=true") {
			t.env["STEK_FORCE_TICKETS"] = "1"
		}
	}
	return rest, known
}

// throughChroot goes on in the new root.
func throughChroot(t *target, name string, args []string) ([]string, bool) {
	rest, known := plain("", "userspec", "groups")(t, name, args)
	if !known || len(rest) < 2 {
		return t.noCommand(name)
	}
	t.place = place{root: t.root + t.abs(rest[0]), dir: "/"}
	if !t.isFile(Preload) {
		t.add(Finding{Blocks, "not-in-root", "The library of stek is not in the new root", []Place{{File: t.root}},
			"LD_PRELOAD names a path in there. Copy it:", "install -D " + Preload + " " + t.root + Preload})
	}
	return rest[1:], true
}

func throughNetns(t *target, name string, args []string) ([]string, bool) {
	if len(args) > 3 && args[0] == "netns" && args[1] == "exec" {
		return args[3:], true
	}
	return t.noCommand(name)
}

// throughSetpriv follows setpriv(1). A program whose real and effective users
// differ is started in secure mode.
func throughSetpriv(t *target, name string, args []string) ([]string, bool) {
	rest, known := plain("", "ambient-caps", "inh-caps", "bounding-set", "ruid", "euid", "rgid", "egid", "reuid", "regid", "groups",
		"securebits", "pdeathsig", "selinux-label", "apparmor-profile", "landlock-access", "landlock-rule", "seccomp-filter", "ptracer")(t, name, args)
	if !known {
		return nil, false
	}
	for _, word := range args[:len(args)-len(rest)] {
		option, _, _ := strings.Cut(word, "=")
		switch option {
		case "--ruid", "--euid", "--rgid", "--egid":
			t.add(Finding{Blocks, "secure-mode", "setpriv starts the server in secure mode: LD_PRELOAD is ignored", nil,
				"Its real and its effective user or group differ. Set both: --reuid, --regid.", ""})
			return rest, true
		case "--reset-env":
			t.add(Finding{Blocks, "env-cleared", "setpriv --reset-env clears the environment, and LD_PRELOAD with it", nil, "Put stek run between setpriv and the server.", ""})
		}
	}
	return rest, true
}

// throughSu follows su(1) and runuser(1). Both keep the environment unless asked
// for a login shell; su of a user who is not root is setuid.
func throughSu(t *target, name string, args []string) ([]string, bool) {
	command, user, login := "", false, name == "su" && os.Geteuid() != 0
	const letters = "cgGsuw"
	names := []string{"command", "session-command", "group", "supp-group", "shell", "user", "whitelist-environment"}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		option, value, _ := strings.Cut(word, "=")
		if takesNext(word, letters, names) && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		switch option {
		case "-", "-l", "--login":
			login = true
			continue
		case "-c", "--command", "--session-command":
			command = value
			continue
		case "-u", "--user":
			user = true
			continue
		}
		if user && (word == "--" || !strings.HasPrefix(word, "-")) {
			if word != "--" {
				args = append([]string{word}, args...)
			}
			if len(args) == 0 {
				break
			}
			return args, true
		}
	}
	if login {
		t.add(Finding{Blocks, "env-cleared", name + " does not pass LD_PRELOAD on", nil, "It cleans the environment on the way to another user. Put stek run behind it.", ""})
		return nil, false
	}
	if command != "" {
		return throughShell(t, name, []string{"-c", command})
	}
	return t.noCommand(name)
}

// throughStartStop follows start-stop-daemon(8).
func throughStartStop(t *target, name string, args []string) ([]string, bool) {
	own, rest := args, []string(nil)
	if i := slices.Index(args, "--"); i >= 0 {
		own, rest = args[:i], args[i+1:]
	}
	program := ""
	for i, word := range own {
		option, value, hasValue := strings.Cut(word, "=")
		if !hasValue && i+1 < len(own) {
			value = own[i+1]
		}
		switch option {
		case "-a", "--startas":
			program = value
		case "-x", "--exec":
			if program == "" {
				program = value
			}
		}
	}
	if program == "" {
		return t.noCommand(name)
	}
	return append([]string{program}, rest...), true
}

// starts are programs whose configuration, or whose own rules, tell what they start.
func starts(t *target, name string, _ []string) ([]string, bool) { return t.noCommand(name) }

// drops are the wrappers that change the user and clean the environment.
func drops(instead string) wrapper {
	return func(t *target, name string, args []string) ([]string, bool) {
		f := Finding{Blocks, "env-cleared", name + " does not pass LD_PRELOAD on", nil, "It cleans the environment on the way to another user. Put stek run behind it.", ""}
		rest, known := skipping(0, "ugCDhpRrtT", "user", "group", "chdir", "chroot", "host", "prompt", "role", "type", "close-from", "command-timeout")(t, name, args)
		if !known {
			return nil, false
		}
		if filepath.Base(rest[0]) == "stek" {
			return rest, true
		}
		if instead != "" {
			f.Change = instead + shownCommand(rest)
		}
		t.add(f)
		return nil, false
	}
}

func fromSystemd(t *target, name string, args []string) ([]string, bool) {
	unit := "UNIT"
	for _, a := range args {
		if !strings.HasPrefix(a, "-") && !slices.Contains([]string{"start", "restart", "reload", "status"}, a) {
			unit = a
			break
		}
	}
	t.add(Finding{Blocks, "systemd-starts-it", "systemd starts the server, with an environment of its own", nil,
		"What is set here does not get there. Put it into the unit:", dropIn(unit)})
	return nil, false
}

func fromContainer(t *target, name string, args []string) ([]string, bool) {
	t.add(Finding{Blocks, "container", "The server runs in a container, with files and an environment of its own", nil,
		"Put stek into the image and let the image's command begin with stek run --.", ""})
	return nil, false
}
