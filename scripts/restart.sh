#!/usr/bin/env bash
# Continues the run in DIR from its newest valid checkpoint, under mpirun.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'TEXT'
usage: scripts/restart.sh DIR [-n N] [--retries K] [arguments of ringfort restart]

  DIR          folder of the run, with run.json and checkpoints
  -n N         ranks; default: as many as the run had; any number gives the same bits
  --retries K  after an end that a restart can mend, start again up to K times, with a pause of 1 to 2 s,
               2 to 4 s, ... up to 60 s in between; default 0

Runs $RINGFORT, else ringfort on the PATH, else target/release/ringfort, under $RINGFORT_MPIRUN or the mpirun of the
MPI that mpicc belongs to. Ends with the exit code of the last try. No restart mends 0 (done), 2 (job or usage
error), 3 (diverged) and 4 (damaged data); all other codes count as mendable.
TEXT
}

folder="" ranks="" retries=0 more=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    -n | --retries)
        [ $# -gt 1 ] || die 2 "$1 needs a number"
        case $1 in
        -n) ranks=$2 ;;
        *) retries=$2 ;;
        esac
        shift
        ;;
    *)
        if [ -n "$folder" ]; then
            more+=("$1")
        else
            folder=$1
        fi
        ;;
    esac
    shift
done
[ -n "$folder" ] || {
    usage >&2
    exit 2
}
[ -d "$folder" ] || die 2 "no folder $folder; name the folder that ringfort run --out wrote to"
[ -f "$folder/run.json" ] || die 2 "$folder holds no run.json, so no run; name the folder that ringfort run --out wrote to"

# How many ranks the run had: "ranks" is a number, or a list of the ranks along each axis.
ranks_of_run() {
    tr -d ' \t\n' <"$1" | awk '
        match($0, /"ranks":\[[0-9,]+\]/) {
            count = split(substr($0, RSTART + 9, RLENGTH - 10), axis, ",")
            product = 1
            for (i = 1; i <= count; i++) product *= axis[i]
            print product
            exit
        }
        match($0, /"ranks":[0-9]+/) { print substr($0, RSTART + 8, RLENGTH - 8) }'
}
[ -n "$ranks" ] || ranks=$(ranks_of_run "$folder/run.json")
ranks=${ranks:-1}
for number in "$ranks" "$retries"; do
    case $number in
    *[!0-9]* | "") die 2 "$number is not a number" ;;
    esac
done
[ "$ranks" -gt 0 ] || die 2 "-n must be at least 1"

binary=${RINGFORT:-}
if [ -n "$binary" ]; then
    command -v "$binary" >/dev/null || die 2 "RINGFORT=$binary is no command"
else
    binary=$(first_of ringfort "$checkout/target/release/ringfort") ||
        die 2 "no ringfort on the PATH nor in target/release; build it with: cargo build --release"
fi

command=("$binary" restart "$folder" ${more[@]+"${more[@]}"})
if mpirun=$(find_mpirun); then
    command=("$mpirun" -n "$ranks" "${command[@]}")
elif [ "$ranks" != 1 ]; then
    die 2 "no mpirun for $ranks ranks; install an MPI with scripts/setup.sh, or use -n 1"
fi

[ "$retries" -gt 0 ] || exec "${command[@]}"

# Signals reach the launcher, and end the tries. It runs in a group of its own and hears each signal from here only:
# Open MPI's, told twice within 5 s, leaves its ranks behind.
stopped=no
told_s=-10
pass_on() {
    stopped=yes
    if [ -n "${child:-}" ] && [ $((SECONDS - told_s)) -gt 5 ]; then
        told_s=$SECONDS
        kill -s "$1" "$child" 2>/dev/null || true
    fi
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM
trap 'pass_on USR1' USR1
set -m
wait_for() { # PID: its exit code, however often a signal interrupts the waiting.
    local code=0
    while true; do
        code=0
        wait "$1" || code=$?
        kill -0 "$1" 2>/dev/null || return "$code"
    done
}

try=0
pause=1
while true; do
    "${command[@]}" </dev/null &
    child=$!
    code=0
    wait_for "$child" || code=$?
    child=""
    case $code in 0 | 2 | 3 | 4) exit "$code" ;; esac
    if [ $stopped = yes ] || [ "$try" -ge "$retries" ]; then
        exit "$code"
    fi
    try=$((try + 1))
    # Between one and two times the pause, so that many runs that fell together do not rise together.
    wait_s=$(awk -v base="$pause" -v part="$RANDOM" 'BEGIN { printf "%.1f", base * (1 + part / 32768) }')
    note "restart.sh: exit code $code; try $try of $retries in $wait_s s"
    sleep "$wait_s" &
    child=$!
    wait_for "$child" || true
    child=""
    [ $stopped = no ] || exit "$code"
    pause=$((pause * 2 > 30 ? 30 : pause * 2))
done
