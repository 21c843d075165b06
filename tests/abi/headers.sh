#!/bin/bash
# Each public header compiles alone, as C99, C11 and C++.
set -u
cd "$(dirname "$0")/../.." || exit 1

status=0
compile() {
    local compiler=$1 language=$2 standard=$3 header=$4
    echo "#include <$header>" | "$compiler" -x "$language" -std="$standard" -Iinclude -Wall -Wextra \
        -pedantic -Werror -fsyntax-only - && return
    echo "error: $header does not compile alone as $standard"
    status=1
}

while read -r header; do
    compile "${CC:-gcc}" c c99 "$header"
    compile "${CC:-gcc}" c c11 "$header"
    compile "${CXX:-g++}" c++ c++11 "$header"
    compile "${CXX:-g++}" c++ c++17 "$header"
done < <(find include -name '*.h' -printf '%P\n' | sort)
exit $status
