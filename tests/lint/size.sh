#!/bin/bash
# Files: more than 500 lines is reported, more than 800 fails.
# Functions: more than 60 is reported, more than 100 fails.
set -u
cd "$(dirname "$0")/../.." || exit 1

file_sizes() {
    find include lib examples tests bindings -name '*.[chS]' -o -name '*.sh' -o -name '*.py' 2>/dev/null |
        sort | xargs wc -l | awk '$2 != "total" { print $1, $2 }'
}

function_sizes() {
    command -v ctags >/dev/null || return 0
    find lib examples tests -name '*.c' | sort | xargs -r ctags -x --c-kinds=f --fields=+ne --_xformat='%e %n %F %N' |
        awk '{ print $1 - $2 + 1, $3 ":" $2 ": " $4 "()" }'
}

report() {
    awk -v note="$1" -v limit="$2" '
        $1 > limit { word = "error: "; bad = 1 }
        $1 > note  { size = $1; sub(/^[0-9]+ /, ""); print word $0 ": " size " lines"; word = "" }
        END { exit bad }'
}

status=0
file_sizes | report 500 800 || status=1
function_sizes | report 60 100 || status=1
exit $status
