#!/bin/bash
# The fake Firecracker answers as the real one does, of the release that it is by default.
set -u
cd "$(dirname "$0")/../.." || exit 1
fake=build/${FLAVOUR:-plain}/fcsnap-fake

[ -n "${FCSNAP_FIRECRACKER:-}" ] || { echo "FCSNAP_FIRECRACKER is not set" && exit 77; }
[ -w /dev/kvm ] || { echo "/dev/kvm cannot be used" && exit 77; }
release=$("$fake" --version)
[ "$("$FCSNAP_FIRECRACKER" --version | head -n 1)" = "$release" ] ||
    { echo "$FCSNAP_FIRECRACKER is not $release" && exit 77; }
exec python3 tests/transcript/transcript.py tests/transcript/requests.txt "$FCSNAP_GUEST" \
    "$FCSNAP_FIRECRACKER" "$fake"
