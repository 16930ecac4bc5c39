package doctor

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
)

// A library is a shared object that will be, or is, in the process.
type library struct {
	object
	name string // as the object that needs it calls it
	by   string // the path of that object; "" for one seen in a running process
}

// closure returns the libraries that objects need, and theirs, in the order in
// which the dynamic linker meets them. missing are those it would not find.
//
// We resolve names as ld.so(8) does instead of running the program's dynamic
// linker with --list: that linker is named by the file under examination, and
// to run it is to trust the file.
func (t *target) closure(objects []object) (found []library, missing []string) {
	cache := t.linkerCache()
	seen := map[string]bool{}
	type from struct {
		object
		rpath []string
	}
	var queue []from
	for _, o := range objects {
		queue = append(queue, from{o, o.rpath})
	}
	for len(queue) > 0 {
		o := queue[0]
		queue = queue[1:]
		for _, name := range o.needed {
			if seen[name] {
				continue
			}
			seen[name] = true
			lib, ok := t.locate(name, o.object, o.rpath, cache)
			if !ok {
				missing = append(missing, name)
				continue
			}
			found = append(found, library{lib, name, o.path})
			queue = append(queue, from{lib, append(slices.Clone(o.rpath), lib.rpath...)})
		}
	}
	return found, missing
}

// locate finds the file that name means to o.
func (t *target) locate(name string, o object, rpath []string, cache map[string][]string) (object, bool) {
	var candidates []string
	if strings.Contains(name, "/") {
		candidates = []string{name}
	} else {
		var dirs []string
		if len(o.runpath) == 0 {
			dirs = append(dirs, rpath...)
		}
		dirs = append(dirs, splitPath([]string{t.env["LD_LIBRARY_PATH"]})...)
		dirs = append(dirs, o.runpath...)
		for _, d := range dirs {
			candidates = append(candidates, filepath.Join(expandOrigin(d, o.path), name))
		}
		candidates = append(candidates, cache[name]...)
		for _, d := range []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"} {
			candidates = append(candidates, filepath.Join(d, name))
		}
	}
	for _, path := range candidates {
		lib, err := t.object(path)
		if err == nil && lib.class == o.class && lib.machine == o.machine {
			return lib, true
		}
	}
	return object{}, false
}

func expandOrigin(dir, path string) string {
	origin := filepath.Dir(path)
	return strings.NewReplacer("${ORIGIN}", origin, "$ORIGIN", origin, "${LIB}", "lib", "$LIB", "lib").Replace(dir)
}

// The cache's layout, see struct cache_file_new in glibc's dl-cache.h.
const (
	cacheMagic  = "glibc-ld.so.cache1.1"
	cacheHeader = 48
	cacheEntry  = 24
)

// linkerCache reads /etc/ld.so.cache: for each name the files, plain ones
// before those for special hardware. A missing or strange cache is empty.
func (t *target) linkerCache() map[string][]string {
	data, err := t.read("/etc/ld.so.cache", maxConfig)
	if err != nil {
		return nil
	}
	return parseCache(data)
}

func parseCache(data []byte) map[string][]string {
	start := bytes.Index(data, []byte(cacheMagic)) // older glibc puts another table before it
	if start < 0 || len(data)-start < cacheHeader {
		return nil
	}
	data = data[start:]
	n := binary.NativeEndian.Uint32(data[len(cacheMagic):])
	text := func(offset uint32) string {
		if uint64(offset) >= uint64(len(data)) {
			return ""
		}
		s, _, _ := bytes.Cut(data[offset:], []byte{0})
		return string(s)
	}
	cache, special := map[string][]string{}, map[string][]string{}
	for i := range uint64(n) {
		at := cacheHeader + i*cacheEntry
		if at+cacheEntry > uint64(len(data)) {
			break
		}
		entry := data[at : at+cacheEntry]
		key := text(binary.NativeEndian.Uint32(entry[4:]))
		value := text(binary.NativeEndian.Uint32(entry[8:]))
		if hwcap := binary.NativeEndian.Uint64(entry[16:]); hwcap != 0 {
			special[key] = append(special[key], value)
		} else {
			cache[key] = append(cache[key], value)
		}
	}
	for key, files := range special {
		cache[key] = append(cache[key], files...)
	}
	return cache
}
