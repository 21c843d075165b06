#!/bin/bash
# For root `make install` is enough: the loader finds the library, and after `make uninstall`
# no longer. In a mount namespace, so that the system itself stays as it is.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR T LD_LIBRARY_PATH

fail() {
    echo "error: $*"
    exit 1
}

if [ $# = 0 ]; then
    unshare --mount true 2>/dev/null || { echo "a mount namespace needs root" && exit 77; }
    work=$(mktemp -d "${TMPDIR:-/tmp}/fcsnap-system.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cp -a /etc "$work/etc" || fail "copying /etc"
    unshare --mount tests/install/system.sh "$work"
    exit
fi

work=$1
mount --bind "$work/etc" /etc || fail "mounting /etc"
mkdir -p /usr/local/include /usr/local/lib
for hidden in /usr/local/include /usr/local/lib /var/cache/ldconfig; do
    [ ! -d $hidden ] || mount -t tmpfs tmpfs $hidden || fail "mounting $hidden"
done

make -s install PREFIX=/usr/local || fail "make install"
echo '#include <fcsnap.h>
int main(void) { return fcsnap_version()[0] == 0; }' >"$work/program.c"
# shellcheck disable=SC2046 # flags are words
"${CC:-cc}" "$work/program.c" -o "$work/program" $(pkg-config --cflags --libs fcsnap) ||
    fail "a program does not build against the installed library"
"$work/program" || fail "a program does not find the installed library"

make -s uninstall PREFIX=/usr/local || fail "make uninstall"
! ldconfig -p | grep libfcsnap || fail "the loader still knows the library"
