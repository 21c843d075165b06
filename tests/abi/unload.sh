#!/bin/sh
# A thread that used the library may outlive dlclose.
cd "$(dirname "$0")/../.." || exit 1
build=build/${FLAVOUR:-plain}
exec "$build/tests/abi/unload" "$build/libfcsnap.so"
