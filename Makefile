# make run    sets up what is missing and shows the main job
# make test   sets up what is missing and passes all tests
#
# ARGS are handed to the program: make run ARGS=-serve

# A header that lets github.com/spacemonkeygo/openssl compile on OpenSSL 3.
export PKG_CONFIG_PATH := $(CURDIR)/spacemonkey/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))
export CGO_ENABLED := 1

.DEFAULT_GOAL := test
.PHONY: run test check bench setup-run setup-test clean

setup-run setup-test: setup-%:
	@scripts/setup.sh $*

run: setup-run
	@go run ./examples/https $(ARGS)

# The race detector and AddressSanitizer exclude each other.
test: setup-test check
	go test -asan . ./internal/ssltest
	go test -race ./...

check:
	@test -z "$$(gofmt -l .)" || { echo "run gofmt -w on:"; gofmt -l .; exit 1; }
	go vet ./...

# Which of OpenSSL's two callbacks is the faster on the library at hand.
bench: setup-test
	@mkdir -p build
	gcc -std=c11 -O2 -o build/kinds ctest/src/kinds.c callback.c table.c store.c attach.c openssl.c -lssl -lcrypto -ldl -lpthread
	build/kinds

clean:
	rm -rf build
