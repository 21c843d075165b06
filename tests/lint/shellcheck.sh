#!/bin/bash
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v shellcheck >/dev/null || { echo "shellcheck is not installed" && exit 77; }

{
    echo .ci/run
    find tests examples -name '*.sh'
} | xargs shellcheck
