#!/bin/bash
# README.md holds what it says: its program builds and runs, its links lead somewhere.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=build/${FLAVOUR:-plain}

work=$(mktemp -d "${TMPDIR:-/tmp}/fcsnap-readme.XXXXXX")
trap 'rm -rf "$work"' EXIT
status=0

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md >"$work/program.c"
[ -s "$work/program.c" ] || { echo "error: README.md has no program" && exit 1; }
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -Iinclude "$work/program.c" -o "$work/program" \
    -L"$build" -lfcsnap || { echo "error: the program of README.md does not build" && exit 1; }
if [ -e "${FCSNAP_GUEST:-}" ] && [ -n "${FCSNAP_FIRECRACKER:-}" ]; then
    LD_LIBRARY_PATH=$build "$work/program" "$FCSNAP_GUEST" || {
        echo "error: the program of README.md fails"
        status=1
    }
fi

for document in README.md examples/README.md CONTRIBUTING.md SECURITY.md; do
    while read -r link; do
        [ -e "$(dirname "$document")/$link" ] || {
            echo "error: $document: $link does not exist"
            status=1
        }
    done < <(grep -o ']([^)#]*' "$document" | cut -c 3- | grep -v '^https:')
done
exit $status
