# make run              sets up what is missing and shows the main job
# make test             sets up what is missing and passes all tests
# make command          stek, libstek-preload.so and man pages, in build/
# make install-command  installs them: PREFIX, DESTDIR
# make lib              libstek.so for C servers, in build/
# make install          installs it: PREFIX, LIBDIR, INCLUDEDIR, DESTDIR
# make interop          real servers alone and with stek: docs/compatibility.md
# make test-containers  containers, or one PART: matrix, servers, clients, image
# make bench            what tickets cost with stek and without, and the goals
# make bench-plots      plots of what make bench has measured, in docs/plots/
# make image            the container image stek
#
# ARGS are handed to the program: make run ARGS=-serve, make bench ARGS="-run issue"

# A header that lets github.com/spacemonkeygo/openssl compile on OpenSSL 3.
export PKG_CONFIG_PATH := $(CURDIR)/spacemonkey/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))
export CGO_ENABLED := 1

# The C of the root package, which is also in libstek.so.
ROOT_SOURCES := $(wildcard *.c)

.DEFAULT_GOAL := test
.PHONY: run test check bench bench-plots lib install command install-command interop test-containers image setup-build setup-run setup-test setup-bench setup-containers clean

setup-build setup-run setup-test setup-bench setup-containers: setup-%:
	@scripts/setup.sh $*

run: setup-run
	@go run ./examples/https $(ARGS)

# The race detector and AddressSanitizer exclude each other, and the latter does not
# know stacks that are left (OpenSSL's jobs, runtime.Goexit). No result is taken from the cache: it does not know
# the C files that tests compile.
test: setup-test check lib command
	go test -count=1 -asan -skip 'OnTheStackOfAJob|EndsTheGoroutine' . ./internal/ssltest
	go test -count=1 -race ./...

check:
	@test -z "$$(gofmt -l .)" || { echo "run gofmt -w on:"; gofmt -l .; exit 1; }
	go vet ./...

# What tickets cost with stek and without, side by side: docs/performance.md.
bench: setup-bench command
	@mkdir -p build
	@go run ./bench -json build/bench.json $(ARGS)

bench-plots: setup-bench
	@test -e build/bench.json || { echo "bench-plots: there is no build/bench.json: make bench writes it" >&2; exit 1; }
	@go run ./bench -from build/bench.json -plots docs/plots

# ---- the library for C servers ----

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
VERSION = $(shell sed -n 's/^\#define STEK_VERSION "\(.*\)"/\1/p' lib/stek.h)
SONAME := libstek.so.0

CFLAGS ?= -O2 -g
LIB_SOURCES := $(ROOT_SOURCES) $(wildcard lib/*.c)
LIB_CFLAGS := -std=c11 -fPIC -fstack-protector-strong -Wall -Wextra -Wpedantic $(CFLAGS)
LIB_CPPFLAGS := -D_FORTIFY_SOURCE=2 $(CPPFLAGS)
LIB_FILES := build/libstek.so build/libstek-go.so
HARDEN := -Wl,-z,now -Wl,-z,relro

lib: setup-build
	@$(MAKE) --no-print-directory $(LIB_FILES)

build/$(SONAME): $(LIB_SOURCES) $(wildcard *.h lib/*.h) lib/libstek.map
	@mkdir -p build
	$(CC) $(LIB_CPPFLAGS) $(LIB_CFLAGS) -shared -o $@.$$$$ $(LIB_SOURCES) -Wl,-z,nodelete -Wl,-soname,$(SONAME) -Wl,--version-script=lib/libstek.map $(HARDEN) -Wl,-z,defs $(LDFLAGS) -ldl -lpthread && mv $@.$$$$ $@

build/libstek.so: build/$(SONAME)
	ln -sf $(SONAME) $@

# go build does not link again if only the version script has changed: its
# checksum is in the name that the linker is given.
GO_MAP := build/exports-$(shell sha256sum cgo/exports.map | cut -c1-16).map

GO_FILES := go.mod $(wildcard *.go *.c *.h cgo/*.go) $(shell find backend internal/backends internal/securemem ticketkey -name '*.go')

build/libstek-go.so: $(GO_FILES) cgo/exports.map
	@mkdir -p build
	@cp cgo/exports.map $(GO_MAP)
	go build -buildmode=c-shared -trimpath -o $@.$$$$ -ldflags '-s -w -extldflags "-Wl,-soname,libstek-go.so -Wl,--version-script=$(CURDIR)/$(GO_MAP) $(HARDEN)"' ./cgo && mv $@.$$$$ $@ && rm -f $@.$$$$.h build/libstek-go.*.h build/libstek-go.so.*.h

# Only builds what is missing: as root there may be no compiler in PATH.
install: $(LIB_FILES)
	@case '$(PREFIX)$(LIBDIR)$(INCLUDEDIR)' in *[\&\|]*) echo "install: PREFIX, LIBDIR and INCLUDEDIR must not have & or |" >&2; exit 1;; esac
	@for d in '$(LIBDIR)' '$(INCLUDEDIR)'; do case "$$d" in /*) ;; *) echo "install: $$d is not an absolute path" >&2; exit 1;; esac; done
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	install -m 755 build/$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME).$(VERSION)
	ln -sf $(SONAME).$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libstek.so
	install -m 755 build/libstek-go.so $(DESTDIR)$(LIBDIR)/libstek-go.so
	install -m 644 lib/stek.h $(DESTDIR)$(INCLUDEDIR)/stek.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' lib/stek.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/stek.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/stek.pc

# ---- the command, and the library for servers that nobody compiles again ----

PRELOAD_SOURCES := $(wildcard preload/*.c)
COMMAND_FILES := build/stek build/libstek-preload.so build/man
COMMAND_GO := go.mod $(wildcard *.go *.c *.h) $(shell find backend cmd internal ticketkey -name '*.go' -o -name '*.[ch]')

command: setup-build
	@$(MAKE) --no-print-directory $(COMMAND_FILES)

build/libstek-preload.so: $(ROOT_SOURCES) $(PRELOAD_SOURCES) $(wildcard *.h preload/*.h) preload/libstek-preload.map
	@mkdir -p build
	$(CC) $(LIB_CPPFLAGS) $(LIB_CFLAGS) -shared -o $@.$$$$ $(ROOT_SOURCES) $(PRELOAD_SOURCES) -Wl,-z,nodelete -Wl,-soname,libstek-preload.so -Wl,--version-script=preload/libstek-preload.map $(HARDEN) -Wl,-z,defs $(LDFLAGS) -ldl -lpthread && mv $@.$$$$ $@

build/stek: $(COMMAND_GO)
	@mkdir -p build
	go build -trimpath -o $@.$$$$ -ldflags '-s -w -X main.version=$(VERSION)' ./cmd/stek && mv $@.$$$$ $@

build/man: $(COMMAND_GO)
	@rm -rf $@ && mkdir -p $@.$$$$ && go run -trimpath ./cmd/stek/genman $@.$$$$ $(VERSION) && mv $@.$$$$ $@

# As install: builds only what is missing.
install-command: $(COMMAND_FILES)
	@case '$(PREFIX)' in *[:\ ]*) echo "install-command: PREFIX must not have a colon or a space: LD_PRELOAD takes none" >&2; exit 1;; /*) ;; *) echo "install-command: $(PREFIX) is not an absolute path" >&2; exit 1;; esac
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/stek $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 build/stek $(DESTDIR)$(PREFIX)/bin/stek
	install -m 755 build/libstek-preload.so $(DESTDIR)$(PREFIX)/lib/stek/libstek-preload.so
	install -m 644 build/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/

# The table that docs/compatibility.md has, from what real servers do.
interop: setup-test command
	@scripts/compatibility.sh docs/compatibility.md

# Versions of OpenSSL, servers and clients in containers, see docker/README.md.
test-containers: setup-build setup-containers
	@go run ./internal/containers $(if $(PAGE),-page $(PAGE)) $(PART)

image: setup-build setup-containers
	@go run ./internal/containers image

clean:
	rm -rf build
