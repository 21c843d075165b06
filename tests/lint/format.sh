#!/bin/bash
# C files have the style of .clang-format. --write makes it so.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v clang-format >/dev/null || { echo "clang-format is not installed" && exit 77; }

mode=(--dry-run --Werror)
[ "${1:-}" = --write ] && mode=(-i)
find include lib examples tests -name '*.[ch]' | sort | xargs clang-format "${mode[@]}"
