#!/bin/bash
# Fetch Debian's kernel for clouds and lay out in the directory $1 what boots:
# vmlinuz for QEMU, vmlinux for Firecracker, and the modules of both in the order
# in which they are loaded. Nothing is installed.
set -eu -o pipefail

HOST_MODULES="virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd"
GUEST_MODULES="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_mmio
    net/vmw_vsock/vsock net/vmw_vsock/vmw_vsock_virtio_transport_common
    net/vmw_vsock/vmw_vsock_virtio_transport"

mkdir -p "$1"
work=$(mktemp -d "$1/new.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The name of the newest; this one is only a pointer to it.
package_name() {
    apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && !found++ { print $2 }'
}

fetch() {
    local package
    package=$(package_name)
    [ -n "$package" ] || return 1
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package")
}

# The kernel's own file is what is packed behind its loader.
unpack_kernel() {
    local at
    at=$(LC_ALL=C grep -abo -m 1 -P '\x02\x21\x4c\x18' "$1" | sed -n '1s/:.*//p')
    # What follows the packed file makes lz4 complain at its end.
    tail -c "+$((at + 1))" "$1" | lz4 -dcq 2>/dev/null || :
}

copy_modules() {
    local number=0 module to=$1 from=$2
    shift 2
    mkdir -p "$to"
    for module in "$@"; do
        cp "$from/$module.ko" "$to/$number-${module##*/}.ko"
        number=$((number + 1))
    done
}

fetch 2>/dev/null || { apt-get -qq update && fetch; }
dpkg -x "$work"/*.deb "$work/root"
modules=$(echo "$work"/root/lib/modules/*/kernel)
mkdir "$work/new"
cp "$work"/root/boot/vmlinuz-* "$work/new/vmlinuz"
unpack_kernel "$work/new/vmlinuz" >"$work/new/vmlinux"
[ "$(head -c 4 "$work/new/vmlinux" | tr -d '\177')" = ELF ] || { echo "kernel.sh: no ELF in vmlinuz" && exit 1; }
# shellcheck disable=SC2086 # lists of words
copy_modules "$work/new/modules/host" "$modules" $HOST_MODULES
# shellcheck disable=SC2086
copy_modules "$work/new/modules/guest" "$modules" $GUEST_MODULES
rm -rf "$1/kernel"
mv "$work/new" "$1/kernel"
