#!/bin/bash
# Run test programs one after the other and count their tests.
#
#   run.sh [options] PROGRAM...
#     --label TEXT     put before each name (the flavour)
#     --log DIR        where the output of each program goes
#     --results FILE   add the totals to FILE; no closing line, exit 0
#     --timeouts LIST  "kind/name=seconds ..."; others get FCSNAP_TEST_TIMEOUT or 120
#     --wrap COMMAND   run each program under COMMAND
#     --arg TEXT       an argument for each program
#     --firecrackers LIST  run each with each of these programs, "a b" or "a:b",
#                      and put its release before the name
#   run.sh --sum FILE  the closing line over all totals in FILE
#
# Programs below unit/, api/, real/, linux/, fake/, fault/ and agent/ are cmocka programs:
# their tests are counted. Any other counts as one, by exit code; 77 is a skip, whose reason is
# the last line it printed. With CI=true a skip that is not in tests/skips.txt
# fails. Whatever process or VM directory a program leaves behind fails it. Its
# lines "# note: TEXT" are shown.
set -u
here=$(dirname "$0")

label='' log_dir=build/log results='' timeouts='' wrap='' args=() firecrackers=''
passed=0 failed=0 skipped=0

close() {
    if [ -n "${T:-}" ] && [ $((passed + failed + skipped)) = 0 ]; then
        echo "no test matches T=$T"
        failed=1
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

sum() {
    while read -r p f s; do
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done <"$1"
    close
}

timeout_of() {
    for entry in $timeouts; do
        [ "${entry%=*}" = "$1" ] && echo "${entry#*=}" && return
    done
    echo "${FCSNAP_TEST_TIMEOUT:-120}"
}

# Processes of the program below $1: the directory is in their environment,
# their arguments, their working directory or their root.
processes_of() {
    {
        grep -lzsF "$1" /proc/[0-9]*/cmdline /proc/[0-9]*/environ
        find /proc/[0-9]*/cwd /proc/[0-9]*/root -maxdepth 0 -lname "$1*" 2>/dev/null
    } | cut -d/ -f3 | sort -u
}

# What a kill at the end of a program started may still be under way: 2 seconds.
leftover() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        pids=$(processes_of "$1")
        [ -z "$pids" ] && break
        sleep 0.2
    done
    for pid in $pids; do
        echo "left running: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
        kill -KILL "$pid"
    done
    find "$1/state/vm" -mindepth 1 -printf 'left behind: %p\n' 2>/dev/null
}

# Does the list of skips allow $1? A line is "kind/name reason".
may_skip() {
    [ "${CI:-}" != true ] || grep -qs "^$1 " "$here/skips.txt"
}

count_tap() {
    awk '
        /^1\.\.[0-9]+/       { plan += substr($0, 4); next }
        /^(not )?ok .*# SKIP/ { skip++; next }
        /^ok /               { ok++; next }
        /^not ok /           { bad++ }
        END { print plan + 0, ok + 0, bad + 0, skip + 0 }' "$1"
}

# Sets ok, bad, skip from exit code $2 and the log $3 of the program $1.
count() {
    local plan status=$2 log=$3
    ok=0 bad=0 skip=0
    case $1 in
    unit/* | api/* | real/* | linux/* | fake/* | fault/* | agent/*)
        read -r plan ok bad skip < <(count_tap "$log")
        # Died, or ended badly although no test failed, or ran fewer tests than planned.
        if [ "$plan" = 0 ] || [ $((ok + bad + skip)) -lt "$plan" ] ||
            { [ "$status" != 0 ] && [ "$bad" = 0 ]; } || [ "$status" -ge 99 ]; then
            bad=$((bad + 1))
        fi
        ;;
    *)
        case $status in
        0) ok=1 ;;
        77) skip=1 ;;
        *) bad=1 ;;
        esac
        ;;
    esac
}

skip_reasons() {
    case $1 in
    unit/* | api/* | real/* | linux/* | fake/* | fault/* | agent/*) sed -n 's/^# skip: //p' "$2" | sort -u ;;
    *) tail -n 1 "$2" ;;
    esac
}

explain() {
    local name=$1 status=$2 limit=$3 log=$4
    case $status in
    124) echo "    no end within $limit s" ;;
    0 | 77) ;;
    *) echo "    exit code $status" ;;
    esac
    tail -n 30 "$log" | sed 's/^/    | /'
    echo "    whole log: $log"
}

run_one() {
    local program=$1 name log limit dir start status left word=ok
    name=$(basename "$(dirname "$program")")/$(basename "$program")
    name=${name%_test}
    name=${name%.sh}
    log=$log_dir/${name/\//-}.log
    limit=$(timeout_of "$name")
    dir=$(mktemp -d "${TMPDIR:-/tmp}/fcsnap-test.XXXXXX")
    mkdir "$dir/state" "$dir/tmp"

    start=$EPOCHREALTIME
    # shellcheck disable=SC2086 # a command with its arguments
    {
        FCSNAP_STATE_DIR=$dir/state TMPDIR=$dir/tmp CMOCKA_MESSAGE_OUTPUT=TAP \
            timeout --kill-after=5 "$limit" $wrap "$program" "${args[@]}" >"$log" 2>&1 </dev/null
        status=$?
    } 2>/dev/null # the shell's own word on a signal
    seconds=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")

    count "$name" "$status" "$log"
    left=$(leftover "$dir")
    if [ -n "$left" ]; then
        echo "$left" >>"$log"
        bad=$((bad + 1))
    fi
    rm -rf "$dir"
    if [ "$skip" != 0 ] && ! may_skip "$name"; then
        echo "$skip skipped, which tests/skips.txt does not allow" >>"$log"
        bad=$((bad + skip)) skip=0
    fi

    [ "$skip" = 0 ] || word=skip
    [ "$bad" = 0 ] || word=FAIL
    printf '%-4s %-44s %6s s  %s\n' "$word" "$label$name" "$seconds" "$ok of $((ok + bad + skip))"
    [ "$skip" = 0 ] || skip_reasons "$name" "$log" | sed 's/^/     skip: /'
    sed -n 's/^# note: /     /p' "$log"
    [ "$bad" = 0 ] || explain "$name" "$status" "$limit" "$log"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

while [ $# -gt 0 ]; do
    case $1 in
    --label) label="$2 " && shift ;;
    --log) log_dir=$2 && shift ;;
    --results) results=$2 && shift ;;
    --timeouts) timeouts=$2 && shift ;;
    --wrap) wrap=$2 && shift ;;
    --arg) args+=("$2") && shift ;;
    --firecrackers) firecrackers=${2//:/ } && shift ;;
    --sum) sum "$2" && exit || exit 1 ;;
    -*) echo "run.sh: unknown option $1" >&2 && exit 2 ;;
    *) break ;;
    esac
    shift
done

run_all() {
    mkdir -p "$log_dir"
    for program in "$@"; do
        run_one "$program"
    done
}

run_with() {
    local firecracker release=''
    firecracker=$(realpath -e "$1") && release=$("$firecracker" --version | sed -n '1s/^Firecracker v//p')
    if [ -z "$release" ]; then
        echo "FAIL $1 is no Firecracker"
        failed=$((failed + 1))
        return
    fi
    shift
    FCSNAP_FIRECRACKER=$firecracker label="$label$release " log_dir="$log_dir/$release" run_all "$@"
}

# Without one, tests that need a Firecracker say so themselves.
FCSNAP_FIRECRACKER=$("$here/setup.sh" --print 2>/dev/null) && export FCSNAP_FIRECRACKER
[ -n "${firecrackers// /}" ] || run_all "$@"
for firecracker in $firecrackers; do
    run_with "$firecracker" "$@"
done

if [ -n "$results" ]; then
    echo "$passed $failed $skipped" >>"$results"
else
    close
fi
