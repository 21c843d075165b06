#!/bin/bash
# Run a test program as a user who may use /dev/kvm and little else.
#
#   user.sh open|denied|absent|kvmless PROGRAM [ARGUMENT...]      for run.sh --wrap
#
# The word is for /dev/userfaultfd: open to that user, closed, or not there; with
# the last word it is open, and there is no /dev/kvm. In a mount namespace of its
# own /dev holds just what is put there, and /mnt a copy of what the program
# needs, for the tree may lie where others cannot go. Nothing of the machine is
# changed. Who is not root runs the program as it is.
set -u
user=12321 group=12322

skip() {
    echo "1..1"
    echo "# skip: $1"
    echo "ok 1 - all # SKIP"
    case $program in
    */tests/*) exit 0 ;;
    *) echo "$1" && exit 77 ;;
    esac
}

make_dev() {
    mkdir /mnt/dev
    for name in null zero full random urandom kvm userfaultfd; do
        [ ! -e "/dev/$name" ] || cp -a "/dev/$name" /mnt/dev/ || return
    done
    [ ! -e /dev/kvm ] || { chown "0:$group" /mnt/dev/kvm && chmod 660 /mnt/dev/kvm; } || return
    case $mode in
    open | kvmless) chown "0:$group" /mnt/dev/userfaultfd && chmod 660 /mnt/dev/userfaultfd ;;
    denied) chown 0:0 /mnt/dev/userfaultfd && chmod 600 /mnt/dev/userfaultfd ;;
    absent) rm -f /mnt/dev/userfaultfd ;;
    esac || return
    [ "$mode" != kvmless ] || rm -f /mnt/dev/kvm
    ln -s /proc/self/fd /mnt/dev/fd
    mount --bind /mnt/dev /dev
}

# Directories by their own names would need a way to them.
take_along() {
    local libraries
    mkdir /mnt/state /mnt/tmp /mnt/lib
    chown -R "$user:$user" "$FCSNAP_STATE_DIR" "$TMPDIR"
    mount --bind "$FCSNAP_STATE_DIR" /mnt/state && mount --bind "$TMPDIR" /mnt/tmp || return
    libraries=$(find "${program%/*}/.." "${program%/*}/../.." -maxdepth 1 -name "libfcsnap.so.*")
    # shellcheck disable=SC2086 # names without blanks
    [ -z "$libraries" ] || cp -L $libraries /mnt/lib/ || return
    cp "$program" "/mnt/$(basename "$program")" || return
    cp "$FCSNAP_GUEST" /mnt/guest || return
    [ -z "${FCSNAP_FIRECRACKER:-}" ] || cp "$FCSNAP_FIRECRACKER" /mnt/firecracker || return
    cp "$FCSNAP_KEEPER" /mnt/keeper || return
    chmod -R a+rX /mnt/lib /mnt/guest /mnt/firecracker /mnt/keeper "/mnt/$(basename "$program")"
}

# The runner finds what is left running by the name of its directory.
become_user() {
    local arguments=()
    for argument in "$@"; do
        [ "$argument" -ef "$FCSNAP_GUEST" ] && argument=/mnt/guest
        arguments+=("$argument")
    done
    export FCSNAP_TEST_USERFAULTFD=$mode FCSNAP_TEST_DIR=$TMPDIR FCSNAP_GUEST=/mnt/guest
    export FCSNAP_FIRECRACKER=/mnt/firecracker FCSNAP_KEEPER=/mnt/keeper
    export FCSNAP_STATE_DIR=/mnt/state TMPDIR=/mnt/tmp
    export HOME=/mnt/tmp LD_LIBRARY_PATH=/mnt/lib
    unset XDG_STATE_HOME
    cd /mnt/tmp && ulimit -l 0 &&
        exec setpriv --reuid $user --regid $user --groups $group --no-new-privs \
            --bounding-set=-all --inh-caps=-all "/mnt/$(basename "$program")" "${arguments[@]}"
}

if [ "$1" != --inside ]; then
    mode=$1 program=$2
    [ "$(id -u)" = 0 ] || [ "$mode" = open ] || skip "only root can change who may use a device"
    [ "$(id -u)" = 0 ] || exec "${@:2}"
    unshare --mount true 2>/dev/null || skip "mounting is not permitted"
    exec unshare --mount --propagation private "$0" --inside "$@"
fi
mode=$2 program=$3
shift 3
mount -t tmpfs -o mode=755,dev none /mnt && make_dev && take_along && become_user "$@"
echo "user.sh: cannot prepare $program"
exit 1
