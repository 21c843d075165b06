#!/bin/bash
# The manual pages that are written by hand: groff has nothing to complain about, and the lines
# fit on a terminal.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v groff >/dev/null || { echo "groff is not installed" && exit 77; }

status=0
for page in build/"${FLAVOUR:-plain}"/man/*.7; do
    warnings=$(groff -ww -z -man -Tutf8 -rLL=100n "$page" 2>&1)
    [ -z "$warnings" ] || { echo "$warnings" && status=1; }
    groff -man -Tutf8 -rLL=100n -P-cbou "$page" | awk -v page="$page" '
        length > 112 { print page ": too long: " $0; bad = 1 } END { exit bad }' || status=1
    grep -n '@[a-z.]*@' "$page" && status=1
done
exit $status
