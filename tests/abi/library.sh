#!/bin/bash
# What the shared library is called, needs and is protected by.
set -u
cd "$(dirname "$0")/../.." || exit 1
library=build/${FLAVOUR:-plain}/libfcsnap.so
dynamic=$(readelf -dlW "$library") || exit 1

status=0
fail() {
    echo "error: $1"
    status=1
}
grep -q 'SONAME.*\[libfcsnap\.so\.1\]' <<<"$dynamic" || fail 'the soname is not libfcsnap.so.1'
grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail 'not linked with -z nodelete'
grep -q 'FLAGS.*NOW' <<<"$dynamic" || fail 'not linked with -z now'
grep -q 'GNU_RELRO' <<<"$dynamic" || fail 'not linked with -z relro'
grep -q 'GNU_STACK.* RW ' <<<"$dynamic" || fail 'the stack is executable'
grep -q 'TEXTREL' <<<"$dynamic" && fail 'not position independent'

# libcurl is opened when it is first needed: loading it costs every program 5 ms.
needed=$(sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' <<<"$dynamic")
for name in $needed; do
    case $name in
    libc.so.6 | ld-linux-* | libcjson.so.1 | libuuid.so.1 | libxxhash.so.0) ;;
    *) fail "needs $name" ;;
    esac
done
exit $status
