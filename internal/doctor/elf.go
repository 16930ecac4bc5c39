package doctor

import (
	"debug/elf"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
)

// An object is what we know of one ELF file.
type object struct {
	path    string
	class   elf.Class
	machine elf.Machine
	interp  string   // the dynamic linker, in programs
	needed  []string // DT_NEEDED
	rpath   []string // DT_RPATH, for this object and what it loads
	runpath []string // DT_RUNPATH, for this object only
	imports bool     // takes SSL_CTX_new from a library
	defines bool     // has an SSL_CTX_new of its own
}

// isStatic reports a program that no dynamic linker ever sees.
func (o object) isStatic() bool { return o.interp == "" && len(o.needed) == 0 }

// object reads the headers and symbols of an ELF file.
func (t *target) object(path string) (object, error) {
	f, err := t.open(path)
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	return readObject(f, t.abs(path))
}

func readObject(r io.ReaderAt, path string) (object, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return object{}, fmt.Errorf("read %s: %w", path, err)
	}
	o := object{path: path, class: f.Class, machine: f.Machine}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			name, err := io.ReadAll(p.Open())
			if err != nil {
				return object{}, fmt.Errorf("read %s: %w", path, err)
			}
			o.interp = strings.TrimRight(string(name), "\x00")
		}
	}
	// A static program has none of these; that is no error.
	o.needed, _ = f.DynString(elf.DT_NEEDED)
	rpath, _ := f.DynString(elf.DT_RPATH)
	runpath, _ := f.DynString(elf.DT_RUNPATH)
	o.rpath, o.runpath = splitPath(rpath), splitPath(runpath)

	symbols, err := f.DynamicSymbols()
	if err != nil {
		symbols, _ = f.Symbols()
	}
	for _, s := range symbols {
		if slices.Contains(contextMakers, s.Name) {
			o.imports = o.imports || s.Section == elf.SHN_UNDEF
			o.defines = o.defines || s.Section != elf.SHN_UNDEF
		}
	}
	return o, nil
}

// contextMakers are the functions through which a server gets its SSL_CTX;
// the preload is called in their place.
var contextMakers = []string{"SSL_CTX_new", "SSL_CTX_new_ex"}

func splitPath(lists []string) []string {
	var dirs []string
	for _, list := range lists {
		dirs = append(dirs, strings.FieldsFunc(list, func(r rune) bool { return r == ':' })...)
	}
	return dirs
}

// machines are the machines that Go and ELF have different names for.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390,
}

// foreignLoader adds a finding if the program's dynamic linker would not load
// our preload at all.
func (t *target) foreignLoader(o object) bool {
	const title = "The preload is built for another kind of program"
	switch {
	case machines[runtime.GOARCH] != elf.EM_NONE && o.machine != machines[runtime.GOARCH]:
		t.add(Finding{Blocks, "machine", title, []Place{{File: o.path}},
			fmt.Sprintf("It is for %s; the preload is for %s.", o.machine, runtime.GOARCH), ""})
	case strings.Contains(o.interp, "/ld-musl-"):
		t.add(Finding{Blocks, "musl", title, []Place{{File: o.path}},
			"It runs with musl (" + o.interp + "); the preload needs glibc.", ""})
	default:
		return false
	}
	return true
}
