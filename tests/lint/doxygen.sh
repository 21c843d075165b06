#!/bin/bash
# The documents build without a warning: HTML and man pages in build/docs.
set -u
cd "$(dirname "$0")/../.." || exit 1
command -v doxygen >/dev/null || { echo "doxygen is not installed" && exit 77; }

version() { sed -n "s/^.define FCSNAP_VERSION_$1 *//p" include/fcsnap/version.h; }
FCSNAP_VERSION=$(version MAJOR).$(version MINOR).$(version PATCH)
export FCSNAP_VERSION
mkdir -p build/docs
exec doxygen Doxyfile
