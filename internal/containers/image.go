package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// versionPattern finds the first thing that looks like a version.
var versionPattern = regexp.MustCompile(`\d+\.\d+(\.\d+)*[a-z]?`)

// userImage is the image that people take, and that the servers' images take
// stek from.
const userImage = "stek"

// An Image is a folder of docker/ on one release of Debian.
type Image struct {
	Folder string // below docker/
	Suite  string // of Debian; experimental is a suite too
	Args   []string

	mutex   sync.Mutex
	version string // of the program that the image is about, once it is known

	once sync.Once
	err  error
}

// Tag is the name of the image.
func (i *Image) Tag() string {
	if i.Folder == "stek" {
		return userImage
	}
	return fmt.Sprintf("stek-test/%s:%s", i.Folder, i.Suite)
}

// Is tells the version of the program that the image is about.
func (i *Image) Is(version string) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.version = version
}

// String is the program, its version if that is known, and the suite.
func (i *Image) String() string {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return strings.TrimSpace(i.Folder+" "+i.version) + ", " + i.Suite
}

// base is the tag of Debian's image, as docker/base.sh has it.
func base(suite string) string {
	if suite == "experimental" {
		return "debian:experimental"
	}
	return "debian:" + suite + "-slim"
}

// baseMutex lets one process at a time make a base: experimental is made of sid.
var baseMutex sync.Mutex

// Build makes the image, once. Layers that exist are not made again.
func (i *Image) Build(ctx context.Context) error {
	i.once.Do(func() { i.err = i.build(ctx) })
	return i.err
}

func (i *Image) build(ctx context.Context) error {
	baseMutex.Lock()
	_, err := command(ctx, nil, "docker/base.sh", i.Suite)
	baseMutex.Unlock()
	if err != nil {
		return err
	}
	folder := filepath.Join("docker", i.Folder)
	if i.Folder == "stek" {
		folder = made.path("install")
	}
	args := []string{"build", "--network", "host", "--label", label + "=image", "--tag", i.Tag(),
		"--file", filepath.Join("docker", i.Folder, "Dockerfile")}
	if i.Folder != "stek" && i.Folder != "build" {
		args = append(args, "--build-arg", "BASE="+base(i.Suite))
	}
	for _, arg := range i.Args {
		args = append(args, "--build-arg", arg)
	}
	_, err = docker(ctx, append(args, folder)...)
	return err
}
