#!/bin/bash
# Run a program in a machine of QEMU's that has hardware virtualisation, emulated:
# a real Firecracker in it boots any guest, also where this machine has no KVM.
#
#   machine.sh PROGRAM [ARGUMENT]...   its exit code and, at its end, its output;
#                                      on a terminal as it comes
#   machine.sh --shell [FILE]...       a prompt in it
#
# FCSNAP_FIRECRACKER names Firecracker. The program, its libraries, Firecracker,
# and every file that an argument or a variable FCSNAP_* names are there under
# the same paths. A machine that shows no sign of life for 30 seconds is started
# again, which has nothing to do with what is tested; the output says so.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=${FCSNAP_CACHE:-$here/../../.cache}/linux/kernel
SILENCE=30 STARTS=3

work=$(mktemp -d "${TMPDIR:-/tmp}/machine.XXXXXX")
qemu=''

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    if [ -n "$qemu" ]; then
        kill -KILL "$qemu" 2>/dev/null || :
        wait "$qemu" 2>/dev/null || :
    fi
    rm -rf "$work"
}

# What there is when the runner's patience ends.
# shellcheck disable=SC2317
interrupted() {
    cat "$work/output" || :
    exit 143
}

trap clean_up EXIT
trap interrupted TERM INT

copy() {
    install -D "$1" "$work/root$(realpath -s "$1")"
}

# With what the loader takes to it; ldd names none for a static program.
copy_program() {
    copy "$1"
    { ldd "$1" 2>/dev/null || :; } | sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' | while read -r library; do
        copy "$library"
    done
}

# libcurl is opened at run time by its name.
copy_opened() {
    local library
    # To its end: who writes into a pipe that nobody reads fails.
    library=$(ldconfig -p | awk '$1 == "libcurl.so.4" && !found++ { print $NF }')
    copy_program "$library"
}

make_root() {
    mkdir -p "$work/root"/{bin,dev,proc,sys,tmp,var/lib,modules}
    cp /bin/busybox "$work/root/bin/"
    cp "$here/init" "$work/root/init"
    cp "$kernel"/modules/host/* "$work/root/modules/"
    copy_program "$FCSNAP_FIRECRACKER"
    copy_opened
    for variable in "${!FCSNAP_@}"; do
        if [ -f "${!variable}" ]; then copy "${!variable}"; fi
    done
    for word in "$@"; do
        if [ -f "$word" ]; then copy_program "$word"; fi
    done
    for variable in "${!FCSNAP_@}" "${!CMOCKA_@}"; do
        case $variable in
        FCSNAP_STATE_DIR | FCSNAP_CACHE) ;;
        *) printf 'export %s=%q\n' "$variable" "${!variable}" ;;
        esac
    done >"$work/root/environment"
    mkdir -p "$work/root$PWD"
    printf "cd %q\n" "$PWD" >>"$work/root/environment"
    printf exec >"$work/root/command"
    printf ' %q' "$@" >>"$work/root/command"
    (cd "$work/root" && find . | cpio --quiet -o -H newc) >"$work/initrd"
}

# One CPU, emulated by one thread: with two of either, guests of the guest freeze.
start() {
    exec qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 1 -m 4096 -nodefaults \
        -display none -no-reboot -kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
        -append "console=ttyS0 mitigations=off nokaslr quiet panic=-1 tsc=reliable ${append:-}" "$@"
}

# True when it ended, false when it fell silent.
watch() {
    local size=0 now quiet=0
    while kill -0 "$qemu" 2>/dev/null; do
        sleep 0.5
        now=$(stat -c %s "$work/console" 2>/dev/null || echo 0)
        if [ "$now" != "$size" ]; then size=$now quiet=0; else quiet=$((quiet + 1)); fi
        [ $quiet -lt $((SILENCE * 2)) ] || return 1
    done
}

# False when it fell silent.
run() {
    : >"$work/output"
    start -serial "file:$work/console" -serial "file:$work/output" </dev/null &
    qemu=$!
    if [ -t 1 ]; then tail -c +1 -f --pid="$qemu" "$work/output" & fi
    if watch; then
        wait || :
        qemu=''
        return
    fi
    kill -KILL "$qemu"
    wait "$qemu" 2>/dev/null || :
    qemu=''
    return 1
}

# The console's last word is the program's exit code.
finish() {
    local status
    [ -t 1 ] || cat "$work/output"
    status=$(sed -n 's/^exit code \([0-9]*\)\r*$/\1/p' "$work/console")
    [ -z "$status" ] || exit "$status"
    echo "# the machine ended early; its console:"
    cat "$work/console"
    exit 1
}

make_root "$@"
if [ "$1" = --shell ]; then
    (append=shell start -serial mon:stdio -serial null)
    exit
fi
for ((i = 1; i <= STARTS; i++)); do
    if run; then finish; fi
    echo "# note: machine started again, without a sign of life for $SILENCE s"
done
echo "# no start of $STARTS came to its end"
exit 1
