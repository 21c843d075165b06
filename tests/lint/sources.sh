#!/bin/bash
# The Makefile names every source of the library, the fake and the agent, public header and test
# program.
set -u
cd "$(dirname "$0")/../.." || exit 1

in_tree() {
    find lib include tests/fake examples/guest/agent -name '*.c' -o -path 'include/*.h'
    find tests/unit tests/api tests/real tests/linux tests/fault tests/agent -name '*_test.c' 2>/dev/null
}

diff <(make -s print-sources | sort) <(in_tree | sort) |
    sed -n 's/^< \(.*\)/\1: in the Makefile, not in the tree/p; s/^> \(.*\)/\1: not in the Makefile/p'
exit "${PIPESTATUS[0]}"
