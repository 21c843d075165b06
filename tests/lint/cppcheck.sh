#!/bin/bash
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v cppcheck >/dev/null || { echo "cppcheck is not installed" && exit 77; }

exec cppcheck --quiet --std=c11 --error-exitcode=1 -j "$(nproc)" \
    --enable=warning,performance,portability --inline-suppr --suppress=missingIncludeSystem \
    -D__x86_64__ -D_GNU_SOURCE -Iinclude -Ilib lib examples
