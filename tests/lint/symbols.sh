#!/bin/bash
# The headers, the map and the shared library name the same functions.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C
library=build/${FLAVOUR:-plain}/libfcsnap.so
[ -e "$library" ] || { echo "$library is not built" && exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 tests/lint/headers.py --names >"$work/headers"
sed -n 's/^ *\(fcsnap_[a-z0-9_]*\);.*/\1/p' lib/libfcsnap.map | sort >"$work/map"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/library"

status=0
compare() {
    diff "$work/$1" "$work/$2" >"$work/diff" && return
    sed -n "s/^< \(.*\)/\1: in the $1, not in the $2/p; s/^> \(.*\)/\1: in the $2, not in the $1/p" "$work/diff"
    status=1
}
compare headers map
compare map library
exit $status
