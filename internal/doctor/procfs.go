package doctor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// A process is what /proc says about one.
type process struct {
	pid, parent int
	name        string
	uid         string
	exe         string // without " (deleted)"
	replaced    bool   // the file exe is no longer the one that runs
	argv        []string
	env         map[string]string
	secure      bool // AT_SECURE: LD_PRELOAD was ignored
	root        string
	dir         string
	unit        string
	files       []mappedFile
}

// A mappedFile is a file in the memory of a process.
type mappedFile struct {
	path    string
	deleted bool
	id      string // device and inode: the same in every process
}

// readProcess fails if there is no such process or we may not look into it.
func readProcess(pid int) (*process, error) {
	p := &process{pid: pid}
	exe, err := os.Readlink(p.file("exe"))
	if err != nil {
		if _, errDir := os.Stat(p.file("")); errDir != nil {
			return nil, fmt.Errorf("examine process %d: no such process", pid)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("examine process %d: it has no program (a kernel thread, or it has ended)", pid)
		}
		return nil, fmt.Errorf("examine process %d (root may): %w", pid, err)
	}
	p.exe, p.replaced = withoutDeleted(exe)
	p.readStatus()
	p.argv = splitZero(p.text("cmdline"))
	p.env = envMap(splitZero(p.text("environ")))
	p.secure = secureMode([]byte(p.text("auxv")))
	p.unit = unitOf(p.text("cgroup"))
	p.dir, _ = os.Readlink(p.file("cwd"))
	ours, err := os.Readlink("/proc/self/ns/mnt")
	theirs, err2 := os.Readlink(p.file("ns/mnt"))
	if err == nil && err2 == nil && ours != theirs {
		p.root = p.file("root")
	}
	maps, err := os.ReadFile(p.file("maps"))
	if err != nil {
		return nil, fmt.Errorf("examine process %d (root may): %w", pid, err)
	}
	p.files = parseMaps(string(maps))
	return p, nil
}

func (p *process) file(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.pid), name)
}

// text returns a file of /proc, or "" if we may not read it.
func (p *process) text(name string) string {
	data, _ := os.ReadFile(p.file(name))
	return string(data)
}

func (p *process) readStatus() {
	for line := range strings.Lines(p.text("status")) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "Name:":
			p.name = words[1]
		case "PPid:":
			p.parent, _ = strconv.Atoi(words[1])
		case "Uid:": // real, effective, saved, file system
			if len(words) > 2 {
				p.uid = words[2]
			}
		}
	}
}

// master returns the process from which p was forked and that still runs the
// same server, p itself if there is none.
func (p *process) master() *process {
	top := p
	for top.parent > 1 {
		parent, err := readProcess(top.parent)
		if err != nil {
			break
		}
		server := serverOf(top.exe)
		if parent.exe != top.exe && (server == nil || serverOf(parent.exe) != server) {
			break
		}
		top = parent
	}
	return top
}

// command is the command line that started the server. nginx writes a title
// over its own.
func (p *process) command() []string {
	if len(p.argv) == 0 {
		return []string{p.exe}
	}
	line, isTitle := strings.CutPrefix(p.argv[0], "nginx: master process ")
	if !isTitle {
		return p.argv
	}
	words := strings.Fields(line)
	// The value of -g has spaces, and lost its quotes in the title.
	if i := slices.Index(words, "-g"); i >= 0 {
		end := i + 1
		for end < len(words) && !strings.HasPrefix(words[end], "-") {
			end++
		}
		words = append(append(slices.Clone(words[:i+1]), strings.Join(words[i+1:end], " ")), words[end:]...)
	}
	if len(words) == 0 {
		return []string{p.exe}
	}
	return words
}

// atSecure is AT_SECURE in the auxiliary vector, see getauxval(3).
const atSecure = 23

func secureMode(auxv []byte) bool {
	const word = int(unsafe.Sizeof(uintptr(0)))
	read := func(b []byte) uint64 {
		if word == 4 {
			return uint64(binary.NativeEndian.Uint32(b))
		}
		return binary.NativeEndian.Uint64(b)
	}
	for ; len(auxv) >= 2*word; auxv = auxv[2*word:] {
		if read(auxv) == atSecure {
			return read(auxv[word:]) != 0
		}
	}
	return false
}

// parseMaps returns each file in /proc/PID/maps once.
func parseMaps(text string) []mappedFile {
	var found []mappedFile
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		i := strings.IndexByte(scanner.Text(), '/')
		if i < 0 {
			continue
		}
		path, deleted := withoutDeleted(scanner.Text()[i:])
		f := mappedFile{path: path, deleted: deleted && !isInMemory(path)}
		if fields := strings.Fields(scanner.Text()[:i]); len(fields) == 5 { // addresses, permissions, offset, device, inode
			f.id = fields[3] + " " + fields[4]
		}
		if !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	return found
}

func withoutDeleted(path string) (string, bool) { return strings.CutSuffix(path, " (deleted)") }

func splitZero(text string) []string {
	text = strings.TrimRight(text, "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}
