package doctor

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// follow finds the program that argv comes down to and leaves it in t.program,
// with t.argv as that program will see it. It reports false, after a finding,
// where the way cannot be followed.
func (t *target) follow() (bool, error) {
	for range 10 {
		path, err := t.lookPath(t.argv[0])
		if err != nil {
			return false, fmt.Errorf("examine %s: %w", t.argv[0], err)
		}
		base := filepath.Base(path)
		if w, ok := wrappers[base]; ok {
			rest, known := w(t, base, t.args())
			if !known {
				t.report.Program = path
				return false, nil
			}
			t.argv = rest
			continue
		}
		interpreter := t.shebang(path)
		if interpreter == nil {
			t.program = t.real(path)
			return true, nil
		}
		if apache := t.behindApachectl(base); apache != "" {
			t.argv = append([]string{apache}, apachectlArgs(t.args())...)
			continue
		}
		if slices.Contains(shells, filepath.Base(interpreter[0])) {
			t.report.Program = path
			t.add(Finding{Unknown, "shell-script", "This is a shell script", []Place{{File: path}},
				"LD_PRELOAD reaches what it starts, but we cannot tell what that is. Name the server itself. Or: " + ask, ""})
			return false, nil
		}
		t.argv = append(append(interpreter, path), t.args()...)
	}
	return false, fmt.Errorf("examine %s: more than 10 wrappers around the program", t.argv[0])
}

func (t *target) lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		path := t.abs(name)
		f, err := t.open(path)
		if err != nil {
			return "", err
		}
		f.Close()
		return path, nil
	}
	for _, dir := range filepath.SplitList(t.env["PATH"]) {
		if path := filepath.Join(dir, name); dir != "" && t.isFile(path) {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

var shells = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}

// shebang returns the words after #! in a script, nil in any other file.
func (t *target) shebang(path string) []string {
	f, err := t.open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	head, _ := bufio.NewReaderSize(f, 256).Peek(256)
	line, found := bytes.CutPrefix(head, []byte("#!"))
	if !found {
		return nil
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return nil
	}
	if filepath.Base(words[0]) == "env" {
		words = slices.DeleteFunc(words[1:], func(w string) bool { return w == "-S" || strings.Contains(w, "=") })
	}
	if len(words) > 0 && !strings.Contains(words[0], "/") {
		if found, err := t.lookPath(words[0]); err == nil {
			words[0] = found
		}
	}
	if len(words) == 0 {
		return nil
	}
	return words
}

// behindApachectl returns the server that Apache's control script starts.
func (t *target) behindApachectl(base string) string {
	if base != "apache2ctl" && base != "apachectl" {
		return ""
	}
	for _, name := range []string{"apache2", "httpd"} {
		if path, err := t.lookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// apachectlArgs leaves out the verbs that the script itself understands.
func apachectlArgs(args []string) []string {
	verbs := []string{"start", "restart", "graceful", "graceful-stop", "stop", "configtest", "status", "fullstatus", "-k"}
	return slices.DeleteFunc(slices.Clone(args), func(a string) bool { return slices.Contains(verbs, a) })
}

// shownCommand is the command for people to read, without the values of
// options and variables that may be secrets.
func shownCommand(argv []string) string {
	var shown []string
	hide := false
	for _, word := range argv {
		name, value, assigned := strings.Cut(word, "=")
		switch {
		case hide:
			word = "***"
		case assigned && value != "" && (isSecretName(name) || !strings.HasPrefix(name, "-") && strings.ToUpper(name) == name && !strings.ContainsAny(name, "/ ")):
			word = name + "=***"
		case strings.ContainsAny(word, " \t\n'\"") || word == "":
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		hide = !hide && !assigned && strings.HasPrefix(word, "-") && isSecretName(word)
		shown = append(shown, word)
	}
	return strings.Join(shown, " ")
}

func isSecretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"pass", "secret", "token", "psk", "credential"}, func(s string) bool { return strings.Contains(name, s) })
}
