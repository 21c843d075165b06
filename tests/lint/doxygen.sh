#!/bin/bash
# The documents build without a warning: HTML and man pages in build/docs.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v doxygen >/dev/null || { echo "doxygen is not installed" && exit 77; }

version() { sed -n "s/^.define FCSNAP_VERSION_$1 *//p" include/fcsnap/version.h; }
FCSNAP_VERSION=$(version MAJOR).$(version MINOR).$(version PATCH)
export FCSNAP_VERSION
rm -rf build/docs
mkdir -p build/docs
doxygen Doxyfile || exit

# Sets of values have no name, but get pages; types and macros lead to pages of headers, which are
# not written: those of their groups are meant.
cd build/docs/man/man3 || exit
rm -f ./@*.3
sed -i 's|^\.so man3/\([a-z]*\)\.h\.3|.so man3/libfcsnap_\1.3|' ./*.3
