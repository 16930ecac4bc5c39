package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// matrix are the releases of Debian whose versions of OpenSSL are tested, the
// oldest first.
var matrix = []*Image{
	{Folder: "openssl", Suite: "bullseye"},
	{Folder: "openssl", Suite: "bookworm"},
	{Folder: "openssl", Suite: "trixie"},
	{Folder: "openssl", Suite: "sid"},
	{Folder: "openssl", Suite: "experimental", Args: []string{"FROM_SUITE=experimental"}},
}

// wanted is how the version of OpenSSL has to begin. The last two suites move:
// theirs may be newer.
var wanted = map[string]*regexp.Regexp{
	"bullseye":     regexp.MustCompile(`^1\.1\.1`),
	"bookworm":     regexp.MustCompile(`^3\.0\.`),
	"trixie":       regexp.MustCompile(`^3\.5\.`),
	"sid":          regexp.MustCompile(`^(3\.([6-9]|\d\d)|[4-9])\.`),
	"experimental": regexp.MustCompile(`^[4-9]\.`),
}

// The tests of the matrix are those of the repository. What is left out here is
// is about the README and about import lines, or needs valgrind, a namespace or
// personality(2): a container has no right to these, and OpenSSL has no part in them.
var matrixTests = []struct{ says, script string }{
	{"Go package: compiles, handshakes", `
		go build -o /tmp/ ./cmd/stek
		go test -count=1 -skip 'Readme|ImportRules' . ./internal/ssltest`},
	{"C part: handshakes, tables, scopes, with AddressSanitizer", `go test -count=1 -run 'AddressSanitizer|TicketOpens' ./ctest`},
	// libdl, which glibc had until 2.34, leaves 32 bytes of dlerror(3) at exit.
	{"libstek.so, built once: its tests, C servers", `
		echo leak:libdl.so >/tmp/leaks
		export LSAN_OPTIONS=suppressions=/tmp/leaks:print_suppressions=0
		go test -count=1 ./lib/libtest ./examples/c-server ./examples/c-dlopen`},
	{"libstek-preload.so, built once: its tests", `
		go test -count=1 -skip 'AnotherTimeNamespace|DoNotRace|DoesNotKnowTheSecret|WithinItsLimits/.*execute' ./preload/preloadtest`},
}

const goModules = "Go modules spacemonkeygo/openssl and libp2p/go-openssl"

func matrixClaims() (claims []*Claim) {
	for _, image := range matrix {
		for _, test := range matrixTests {
			claims = append(claims, &Claim{Part: "matrix", Image: image, Says: test.says, Check: runTests(test.script)})
		}
		claims = append(claims, &Claim{Part: "matrix", Image: image, Says: goModules, Check: testGoModules})
		claims = append(claims, &Claim{Part: "matrix", Image: image, Says: "time of a ticket, by that with OpenSSL's own keys", Check: measureCosts})
		claims = append(claims, serverClaim("matrix", sServer, image))
	}
	return claims
}

// runTests runs a script of go test in the image.
func runTests(script string) func(context.Context, *Claim) (string, error) {
	return func(ctx context.Context, c *Claim) (string, error) {
		out, err := runInMatrix(ctx, c.Image, script)
		if err != nil {
			return "", err
		}
		if !regexp.MustCompile(`(?m)^ok `).MatchString(out) {
			return "", fmt.Errorf("no test has passed: %q", out)
		}
		return "passed", nil
	}
}

// testGoModules is about the modules of others: with OpenSSL 4.0 they do not
// compile. If one day they do, it says so by failing.
func testGoModules(ctx context.Context, c *Claim) (string, error) {
	out, err := runInMatrix(ctx, c.Image, `go test -count=1 -run 'TestBinding|TestAttach' ./spacemonkey ./libp2p`)
	version, versionErr := opensslVersion(ctx, c.Image)
	if versionErr != nil {
		return "", versionErr
	}
	if !strings.HasPrefix(version, "4.") {
		return "passed", err
	}
	if err == nil {
		return "", fmt.Errorf("they compile with OpenSSL %s now: the row has to be changed\n%s", version, out)
	}
	reason := regexp.MustCompile(`(?m)(unknown type name|implicit declaration of function|has no member|incomplete typedef|undeclared|could not determine what)[^\n]*`).FindString(err.Error())
	if reason == "" {
		return "", fmt.Errorf("it fails, but not to compile: %w", err)
	}
	return "does not work: the modules do not compile with OpenSSL 4.0 (" + strings.ReplaceAll(reason, "|", " ") + ")", nil
}

func runInMatrix(ctx context.Context, image *Image, script string) (string, error) {
	if _, err := opensslVersion(ctx, image); err != nil {
		return "", err
	}
	return docker(ctx, made.run(image, "-v", made.path("src")+":/src:ro", "--tmpfs", "/tmp:exec",
		"--", "sh", "-ec", script)...)
}

// opensslVersion returns the version in an image, which has to be the one that
// its row is for.
func opensslVersion(ctx context.Context, image *Image) (string, error) {
	out, err := docker(ctx, "run", "--rm", "--network", "none", "--label", mark(), image.Tag(), "openssl", "version")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(out)
	if len(fields) < 2 || !wanted[image.Suite].MatchString(fields[1]) {
		return "", fmt.Errorf("%s has %q, want a version that matches %s", image.Suite, out, wanted[image.Suite])
	}
	image.Is(fields[1])
	return fields[1], nil
}
