#!/bin/sh
# base.sh sees to it that Debian's images are there: those of the registry, or
# where none can be reached, images with the same tags made from Debian's
# packages by debootstrap. It needs root only for the latter.
#
#     docker/base.sh [SUITE...]     bullseye bookworm trixie sid experimental
#
# A tag that exists is kept: docker rmi it to have it made anew. MIRROR is where
# debootstrap gets packages, if not from its default.
set -eu

[ $# -gt 0 ] || set -- bullseye bookworm trixie sid experimental

die() {
    echo "base: $*" >&2
    exit 1
}

tag() {
    case $1 in
    experimental) echo debian:experimental ;;
    *) echo "debian:$1-slim" ;;
    esac
}

present() {
    docker image inspect "$(tag "$1")" >/dev/null 2>&1
}

# bootstrap SUITE makes the image from packages. What it leaves out is what the
# slim images leave out.
bootstrap() {
    command -v debootstrap >/dev/null 2>&1 || die "no registry answers, and debootstrap is not installed"
    [ "$(id -u)" = 0 ] || die "no registry answers, and debootstrap needs root"
    root=$work/$1
    # shellcheck disable=SC2086 # MIRROR is one argument or none
    debootstrap --variant=minbase "$1" "$root" ${MIRROR:-} >"$work/$1.log" 2>&1 || {
        tail -n 20 "$work/$1.log" >&2
        die "debootstrap of $1 failed"
    }
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-exclude /usr/share/man/*' \
        'path-exclude /usr/share/locale/*' 'path-include /usr/share/doc/*/copyright' \
        >"$root/etc/dpkg/dpkg.cfg.d/docker"
    echo 'APT::Install-Recommends "false";' >"$root/etc/apt/apt.conf.d/docker"
    # A mirror may be behind with a suite that changes every day.
    [ "$1" != sid ] || echo 'Acquire::Check-Valid-Until "false";' >>"$root/etc/apt/apt.conf.d/docker"
    rm -rf "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/lib/apt/lists/* \
        "$root"/var/cache/apt/* "$root"/var/log/*
    find "$root/usr/share/doc" -mindepth 2 ! -name copyright ! -type d -delete
    tar -C "$root" -c . | docker import --change 'CMD ["bash"]' \
        --message 'made by debootstrap' - "$(tag "$1")" >/dev/null
    rm -rf "$root"
}

# experimental is sid with one more source.
experimental() {
    present sid || make_base sid
    printf 'FROM %s\nRUN sed -i "p;s/ sid / experimental /" /etc/apt/sources.list\n' "$(tag sid)" |
        docker build -q -t "$(tag experimental)" - >/dev/null
}

make_base() {
    present "$1" && return
    timeout 300 docker pull -q "$(tag "$1")" >/dev/null 2>&1 && return
    echo "base: making $(tag "$1") from Debian's packages" >&2
    case $1 in
    experimental) experimental ;;
    *) bootstrap "$1" ;;
    esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for suite; do
    case $suite in
    bullseye | bookworm | trixie | sid | experimental) make_base "$suite" ;;
    *) die "no suite \"$suite\"" ;;
    esac
done
