package doctor

import (
	"slices"
	"strings"
)

// A wrapper is a program that starts another. It returns the command that it
// starts, or false after a finding that says why we do not know or why the
// environment does not get there.
type wrapper func(t *target, name string, args []string) (rest []string, known bool)

// wrappers by base name. Those with a list of letters pass the environment on;
// the letters are their options that take a value.
var wrappers = map[string]wrapper{
	"env":  throughEnv,
	"sh":   throughShell,
	"bash": throughShell,
	"dash": throughShell,

	"nice":      plain("n"),
	"nohup":     plain(""),
	"setsid":    plain(""),
	"ionice":    plain("cnpP"),
	"stdbuf":    plain("ioe"),
	"time":      plain("fo"),
	"strace":    plain("eopsu"),
	"tini":      plain("pe"),
	"dumb-init": plain("r"),
	"catatonit": plain("P"),
	"timeout":   skipping(1, "ks"),
	"taskset":   skipping(1, ""),
	"chrt":      skipping(1, "TPD"),
	"gosu":      skipping(1, ""),
	"su-exec":   skipping(1, ""),

	"sudo":      drops("sudo stek run -- "),
	"doas":      drops("doas stek run -- "),
	"pkexec":    drops(""),
	"su":        drops("stek run -- su "),
	"runuser":   drops("stek run -- runuser "),
	"systemctl": fromSystemd, "service": fromSystemd, "systemd-run": fromSystemd,
	"docker": fromContainer, "podman": fromContainer, "nerdctl": fromContainer,
}

// plain wrappers are followed by their options and then the command.
func plain(withValue string) wrapper { return skipping(0, withValue) }

// skipping wrappers have n words between their options and the command.
func skipping(n int, withValue string) wrapper {
	return func(t *target, name string, args []string) ([]string, bool) {
		for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
			option := args[0]
			args = args[1:]
			if option == "--" {
				break
			}
			takesNext := len(option) == 2 && strings.Contains(withValue, option[1:])
			if takesNext && len(args) > 0 {
				args = args[1:]
			}
		}
		if len(args) <= n {
			return t.noCommand(name)
		}
		return args[n:], true
	}
}

func (t *target) noCommand(name string) ([]string, bool) {
	t.add(Finding{Unknown, "no-command", "We do not see which command " + name + " starts", nil, "Name the server itself. Or: " + ask, ""})
	return nil, false
}

func throughEnv(t *target, name string, args []string) ([]string, bool) {
	for len(args) > 0 {
		word := args[0]
		variable, value, assigned := strings.Cut(word, "=")
		switch {
		case word == "--":
			args = args[1:]
			continue
		case word == "-i" || word == "-" || word == "--ignore-environment":
			t.add(Finding{Blocks, "env-cleared", "env " + word + " clears the environment, and LD_PRELOAD with it", nil,
				"Put stek run between env and the server.", ""})
		case word == "-u" && len(args) > 1:
			if args[1] == "LD_PRELOAD" {
				t.add(Finding{Blocks, "env-cleared", "env -u takes LD_PRELOAD out of the environment", nil, "", ""})
			}
			args = args[1:]
		case (word == "-C" || word == "--chdir") && len(args) > 1:
			t.dir = t.abs(args[1])
			args = args[1:]
		case strings.HasPrefix(word, "-"):
		case assigned:
			if variable == "LD_PRELOAD" && !strings.Contains(value, "libstek-preload") {
				t.add(Finding{Blocks, "env-replaced", "env sets another LD_PRELOAD after stek's", nil, "Put stek run between env and the server.", ""})
			}
			t.env[variable] = value
		default:
			return args, true
		}
		args = args[1:]
	}
	return t.noCommand(name)
}

// throughShell follows sh -c with a single simple command.
func throughShell(t *target, name string, args []string) ([]string, bool) {
	if len(args) >= 2 && strings.HasPrefix(args[0], "-") && strings.HasSuffix(args[0], "c") && !strings.ContainsAny(args[1], "|&;<>()$`\\\"'*?[]{}!#~\n") {
		words := strings.Fields(args[1])
		if len(words) > 0 && words[0] == "exec" {
			words = words[1:]
		}
		for len(words) > 0 && strings.Contains(words[0], "=") {
			words = words[1:]
		}
		if len(words) > 0 {
			return words, true
		}
	}
	t.add(Finding{Unknown, "shell-script", "A shell decides what is started", nil,
		"LD_PRELOAD reaches what it starts, but we cannot tell what that is. Name the server itself. Or: " + ask, ""})
	return nil, false
}

// drops are the wrappers that change the user and clean the environment.
func drops(instead string) wrapper {
	return func(t *target, name string, args []string) ([]string, bool) {
		f := Finding{Blocks, "env-cleared", name + " does not pass LD_PRELOAD on", nil, "It cleans the environment on the way to another user. Put stek run behind it.", ""}
		if name == "su" || name == "runuser" {
			// Both keep the environment unless asked for a login shell.
			if !slices.ContainsFunc(args, func(a string) bool { return a == "-" || a == "-l" || a == "--login" }) {
				return t.noCommand(name)
			}
		} else if rest, known := skipping(0, "ugCDhpRrtT")(t, name, args); known && instead != "" {
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
