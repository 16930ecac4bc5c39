#!/bin/sh
# setup.sh installs what the make targets need beside Go, git and make.
#
#     scripts/setup.sh [build|run|test|bench|containers]
#
# It says nothing and changes nothing if all is there. What is missing it
# installs with apt-get, as root or by a sudo that asks for no password; else
# it prints the one line to run, and exits with 1. Without an argument it
# prepares for every target.
set -u

# Where packages are, for the tests of this script.
root=${SETUP_ROOT:-}

# Daemons are in folders that not every user has in PATH.
PATH=$PATH:$root/usr/sbin:$root/sbin

# need TARGETS PACKAGE CHECK...: the targets need the Debian package if the
# command that follows fails.
everything() {
    need "build run test bench" gcc command -v gcc
    need "build run test bench" libc6-dev header stdlib.h
    need "build run test bench" libssl-dev header openssl/ssl.h
    need "build run test bench" pkg-config command -v pkg-config
    need "run test bench" openssl command -v openssl
    need "run test" curl command -v curl
    need "test" valgrind command -v valgrind
    need "test" g++ command -v g++
    # Servers that are run with and without stek; none is started by itself.
    need "test bench" nginx command -v nginx
    need "test bench" haproxy command -v haproxy
    need "test" apache2 command -v apache2
    need "test" lighttpd command -v lighttpd
    need "test" lighttpd-mod-openssl test -e "$root/usr/lib/lighttpd/mod_openssl.so"
    need "test" stunnel4 command -v stunnel4
    need "test" dovecot-imapd test -e "$root/usr/lib/dovecot/imap-login"
    need "test" postfix command -v postfix
    need "test" vsftpd command -v vsftpd
    need "test" python3 test -e "$root/usr/bin/python3"
    need "test" systemd command -v systemd-analyze
    need "test" prometheus command -v promtool
    # Draws what was measured.
    need "test bench" gnuplot-nox command -v gnuplot
    need "bench" wrk command -v wrk
    # A Docker engine is not installed: where none is, there is nothing to do.
    ! command -v docker >/dev/null 2>&1 || containers
}

# containers is what docker/README.md needs beside an engine. Only root can make
# images of Debian's packages, where no registry answers.
containers() {
    need "containers" docker-compose compose
    [ "$(id -u)" != 0 ] || need "containers" debootstrap command -v debootstrap
}

# compose succeeds if there is Compose, as a command or as a plugin.
compose() {
    command -v docker-compose || docker compose version
}

header() {
    echo "#include <$1>" | gcc -E -o /dev/null -x c -
}

need() {
    case " $1 " in *" $target "*) ;; *) [ "$target" = all ] || return 0 ;; esac
    package=$2
    shift 2
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

find_missing() {
    missing=
    everything
    missing=${missing# }
}

die() {
    echo "setup: $*" >&2
    exit 1
}

check_go() {
    command -v go >/dev/null 2>&1 ||
        die "the command go is not in PATH. Install Go 1.26 or later: https://go.dev/doc/install"
    # Any go since 1.21 fetches the version that go.mod asks for.
    version=$(GOTOOLCHAIN=local go version)
    case ${version#go version } in
    go1.[0-9][!0-9]* | go1.1[0-9]* | go1.20*)
        die "this Go is too old ($version). Install Go 1.26 or later: https://go.dev/doc/install" ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# quietly runs a command with a policy that starts no service of a package. A
# machine that has a policy of its own keeps it.
quietly() {
    policy=$root/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || policy=
    [ -z "$policy" ] ||
        as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 755 "$1"' sh "$policy"
    "$@"
    result=$?
    [ -z "$policy" ] || as_root rm -f "$policy"
    return $result
}

apt_install() {
    # The list of packages may be old or, on a new machine, empty.
    # shellcheck disable=SC2086 # missing is a list
    as_root apt-get install -y -qq --no-install-recommends $missing 2>&1 ||
        { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends $missing; } 2>&1
}

target=${1:-all}
case $target in
build | run | test | bench | containers | all) ;;
*) die "no target \"$target\": it is build, run, test, bench or containers" ;;
esac

check_go
find_missing
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null 2>&1 ||
    die "missing: $missing (Debian's names). This machine has no apt-get: install them its own way."
by_hand="sudo apt-get install -y $missing"
ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || by_hand="sudo apt-get update && $by_hand"
if [ "$(id -u)" != 0 ] && ! sudo -n true >/dev/null 2>&1; then
    echo "setup: packages are missing, and installing them needs your password. Run this line, then make again:" >&2
    echo "    $by_hand" >&2
    exit 1
fi

echo "setup: installing $missing"
if ! log=$(quietly apt_install); then
    echo "$log" >&2
    die "apt-get failed, see above. Once its cause is mended, run: $by_hand"
fi
find_missing
[ -z "$missing" ] || die "still missing after the installation: $missing"
