#!/bin/bash
# Install to a DESTDIR, build and run against it through pkg-config, uninstall.
# Nothing may be left, and nothing beside the DESTDIR be touched: the prefix
# itself holds an older installation, as the system of a packager may.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR T

work=$(mktemp -d "${TMPDIR:-/tmp}/fcsnap-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
stage=$work/stage
root=$stage$prefix
make=(make -s PREFIX="$prefix" DESTDIR="$stage")

fail() {
    echo "error: $*"
    exit 1
}

listing() {
    (cd "$1" && find . \( -type d -printf '%p/\n' \) -o \( -type l -printf '%p -> %l\n' \) -o \
        -printf '%p ' -exec sha256sum {} \;) | sort
}

# Files that are not ours, next to where ours go; and files like ours, outside.
decoys() {
    mkdir -p "$1/bin" "$1/include" "$1/lib/pkgconfig" "$1/share/man/man7"
    echo other >"$1/bin/other"
    echo other >"$1/include/other.h"
    echo other >"$1/lib/libother.so"
    echo other >"$1/lib/pkgconfig/other.pc"
    echo other >"$1/share/man/man7/other.7"
}
decoys "$root"
decoys "$prefix"
mkdir "$prefix/include/fcsnap"
for file in include/fcsnap.h include/fcsnap/error.h bin/fcsnap-fake bin/fcsnap-agent bin/fcsnap-keeper lib/libfcsnap.so.1 lib/libfcsnap.a lib/pkgconfig/fcsnap.pc \
    share/man/man7/fcsnap-rpc.7; do
    echo older >"$prefix/$file"
done
before=$(listing "$root")
outside=$(listing "$prefix")

"${make[@]}" install || fail "make install"
installed=$(listing "$root")

pkg() {
    PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config --define-variable=prefix="$root" "$@" fcsnap
}
[ "$(pkg --modversion)" = "$(readlink "$root/lib/libfcsnap.so.1" | sed 's/.*\.so\.//')" ] ||
    fail "the .pc file has another version than the library"

"$root/bin/fcsnap-fake" --version >"$work/version" || fail "fcsnap-fake does not run"
"$root/bin/fcsnap-agent" --version >"$work/version" || fail "fcsnap-agent does not run"

mkdir "$work/out"
for source in examples/*.c; do
    [ -e "$source" ] || continue
    # shellcheck disable=SC2046 # flags are words
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE "$source" -o "$work/out/$(basename "$source" .c)" \
        $(pkg --cflags --libs) -pthread || fail "$source does not build against the installed library"
done
echo '#include <fcsnap.h>
int main(void) { return fcsnap_version()[0] == 0; }' >"$work/static.c"
# shellcheck disable=SC2046
"${CC:-cc}" "$work/static.c" -o "$work/out/static" $(pkg --cflags) "$root/lib/libfcsnap.a" \
    $(pkg --static --libs-only-l | sed 's/-lfcsnap//') -pthread || fail "libfcsnap.a cannot be linked"
"$work/out/static" || fail "a program with libfcsnap.a does not run"

if [ -x "$work/out/boot" ] && [ -e "${FCSNAP_GUEST:-}" ] && [ -n "${FCSNAP_FIRECRACKER:-}" ]; then
    LD_LIBRARY_PATH=$root/lib "$work/out/boot" "$FCSNAP_GUEST" || fail "the example boot does not run"
fi

"${make[@]}" uninstall || fail "make uninstall"
[ "$installed" != "$before" ] || fail "nothing was installed"
diff <(echo "$before") <(listing "$root") || fail "uninstall did not restore the tree"
diff <(echo "$outside") <(listing "$prefix") || fail "something outside DESTDIR was touched"
