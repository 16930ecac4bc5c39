package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// made is what buildOnce has made, for all claims.
var made build

// A build is a copy of the sources, and what was made of them on the oldest
// Debian.
type build struct {
	folder string // temporary; has src and install

	// Docker run's options for a container that compiles: Go and its modules,
	// which it can only read, and Go's cache of results.
	mounts []string
}

func (b build) path(name string) string { return filepath.Join(b.folder, name) }

var builder = &Image{Folder: "build", Suite: "bullseye"}

// buildOnce makes stek and its libraries in a container of the oldest Debian,
// and the image of stek.
func buildOnce(ctx context.Context) error {
	if _, err := command(ctx, nil, "go", "mod", "download"); err != nil {
		return err
	}
	if err := made.stage(ctx); err != nil {
		return err
	}
	if err := builder.Build(ctx); err != nil {
		return err
	}
	_, err := docker(ctx, made.run(builder, "-v", made.path("src")+":/src", "-v", made.path("install")+":/install",
		"--", "sh", "-ec", `
		make -s install install-command PREFIX=/usr/local DESTDIR=/install
		go build -trimpath -ldflags '-s -w' -o build/visitor ./internal/containers/visitor`)...)
	if err != nil {
		return err
	}
	return stekImage.Build(ctx)
}

var stekImage = &Image{Folder: "stek", Suite: "bookworm"}

// stage copies the sources to a folder that containers see.
func (b *build) stage(ctx context.Context) error {
	var err error
	if b.folder, err = os.MkdirTemp("", "stek-containers-"); err != nil {
		return err
	}
	src := b.path("src")
	for _, folder := range []string{src, b.path("install")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".git" && !entry.IsDir(): // in a worktree
			return nil
		case path == "build" || path == ".git":
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(src, path), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		return copyFile(path, filepath.Join(src, path))
	})
	if err != nil {
		return fmt.Errorf("copy the sources: %w", err)
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("ask go for its folders: %w", err)
	}
	folders := strings.Fields(string(out))
	if len(folders) != 3 {
		return fmt.Errorf("ask go for its folders: %q", out)
	}
	b.mounts = []string{
		"-v", folders[0] + ":/usr/local/go:ro",
		"-v", folders[1] + ":/modules:ro",
		"-v", folders[2] + ":/cache",
		"-e", "GOMODCACHE=/modules", "-e", "GOCACHE=/cache", "-e", "GOPROXY=off", "-e", "GOTOOLCHAIN=local",
		"-e", "GOFLAGS=-buildvcs=false", "-e", "HOME=/tmp", "-e", "CGO_ENABLED=1",
		"-e", "PKG_CONFIG_PATH=/src/spacemonkey/pkgconfig",
	}
	return nil
}

// run returns the arguments of docker run for a container that compiles,
// without a network. Options come before "--", the command after it. Compiled C
// is kept apart by suite: Go's cache does not know the headers.
func (b build) run(image *Image, args ...string) []string {
	var options []string
	for len(args) > 0 && args[0] != "--" {
		options, args = append(options, args[0]), args[1:]
	}
	all := append([]string{"run", "--rm", "--init", "--network", "none", "--label", mark(),
		"--user", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()),
		"-e", "CGO_CFLAGS=-O2 -g -DSUITE_" + image.Suite}, b.mounts...)
	all = append(append(all, options...), image.Tag())
	return append(all, args[1:]...)
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
