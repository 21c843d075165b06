#!/bin/bash
# The Makefile names every source of the library and every public header.
set -u
cd "$(dirname "$0")/../.." || exit 1

diff <(make -s print-sources | sort) <(find lib include -name '*.c' -o -path 'include/*.h' | sort) |
    sed -n 's/^< \(.*\)/\1: in the Makefile, not in the tree/p; s/^> \(.*\)/\1: not in the Makefile/p'
exit "${PIPESTATUS[0]}"
