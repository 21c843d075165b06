#!/bin/bash
# What the library must not do: end or change the process it lives in, write to
# its output, reap its children. And which header is for which file alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
status=0

# A file without comments and strings, each line with its place.
code() {
    gcc -fpreprocessed -dD -E "$1" 2>/dev/null | sed 's/\\"//g; s/"[^"]*"/""/g' |
        awk -v file="$1" '/^# [0-9]+ /{ line = $2 - 1; next } { print file ":" ++line ": " $0 }'
}

refuse() {
    if grep -E "^[^ ]* .*(^|[^a-zA-Z0-9_.>])($1) *\("; then
        echo "error: not in lib/: $2"
        status=1
    fi
}

only_in() {
    local found
    found=$(grep -lE "# *include *[<\"]$1[>\"]" -r lib include | sort | tr '\n' ' ')
    case "$found" in
    "" | "$2 ") ;;
    *)
        echo "error: $1 belongs to ${2} alone, and is in: $found"
        status=1
        ;;
    esac
}

sources=$(find lib -name '*.[ch]' | sort)
all=$(for file in $sources; do code "$file"; done)
refuse 'exit|abort|assert|quick_exit' 'ending the process' <<<"$all"
refuse 'printf|vprintf|puts|putchar|perror' 'writing to standard output' <<<"$all"
refuse 'system|popen|signal|setenv|putenv|unsetenv|chdir|umask' 'changing the process' <<<"$all"
refuse 'wait|waitpid|wait3|wait4' 'waiting for any child (waitid with P_PIDFD)' <<<"$all"
refuse 'cJSON_InitHooks|curl_global_cleanup' 'changing a library for everybody' <<<"$all"
refuse 'sigaction|sigprocmask' 'changing signals outside spawn' < <(grep -v '^lib/base/spawn.c:' <<<"$all")

only_in 'curl/curl\.h' lib/vmm/http.c
only_in 'linux/userfaultfd\.h' lib/memory/uffd.c
only_in '(cjson/)?cJSON\.h' lib/base/json.c
exit $status
