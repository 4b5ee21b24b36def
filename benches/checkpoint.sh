#!/usr/bin/env bash
# What a checkpoint costs, in turn with what it cannot cost less than: how long it holds up the steps against a copy of the state in
# memory, how long it is written against a plain write and fsync of as many bytes, what it costs a run in all, and how long a restart
# reads it from a cold disk (root empties the system's cache) against a plain read of the same files.
#   benches/checkpoint.sh [POINTS] [ROUNDS] [FOLDER]   heat on POINTS^3 points in f64: 512 (default) are 1 GiB; 5 rounds;
#                                                       FOLDER lies on the disk to measure (default: the system's for temporary files)
# Prints each round and medians. Leaves nothing behind. A quiet machine and a release build are needed (cargo build --release).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
cd "$checkout"

points=${1:-512} rounds=${2:-5} where=${3:-${TMPDIR:-/tmp}}
program=${RINGFORT:-target/release/ringfort}
[ -x "$program" ] || die 2 "no $program; run cargo build --release"
plain=${RINGFORT_CHECKPOINT_BENCH:-}
if [ -z "$plain" ]; then
    plain=$(cargo bench --bench checkpoint --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"name":"checkpoint".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
fi
[ -x "$plain" ] || die 2 "benches/checkpoint.rs could not be built; run cargo bench --bench checkpoint --no-run"
home=$(mktemp -d "$where/checkpoint-bench.XXXXXX")
trap 'rm -rf "$home"' EXIT
bytes=$((points * points * points * 8))
# Long enough that each of three checkpoints is on the disk before the next one is due.
steps=${RINGFORT_CHECKPOINT_STEPS:-120}

cat >"$home/heat.toml" <<TOML
[grid]
points = [$points, $points, $points]
[kernel]
name = "heat"
[fields]
temperature = { formula = "x + 2*y + 3*z" }
diffusivity = 0.1
[time]
steps = 8
dt = 0.1
[checkpoint]
every = "4 steps"
keep = 2
TOML

field() { # EVENTS KEY FILTER...: of the first checkpoint, which is written while the run goes on, or of the last, which is not.
    sed -n "/\"event\":\"checkpoint\"/s/.*\"$2\":\([-+0-9.e]*\).*/\1/p" "$1" | "${@:3}" -n 1
}
median() { sort -g "$home/$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

seconds() { sed -n 's/^ *"seconds": \([0-9.e+-]*\),*$/\1/p' "$1" | head -n 1; }
run() { # MORE WORDS
    rm -rf "$home/run"
    "$program" run "$home/heat.toml" --out "$home/run" "$@" >"$home/said" 2>&1 || die $? "the run failed: $(tail -n 3 "$home/said")"
}
cold() { # COMMAND...: with nothing of the run in the system's cache.
    sync
    echo 3 >/proc/sys/vm/drop_caches
    "$@"
}
columns="blocking copy beside writing plain chunk unchecked with without"
[ ! -w /proc/sys/vm/drop_caches ] || columns="$columns read same fewer more"
for ((round = 1; round <= rounds; round++)); do
    run --set 'checkpoint.every="1000000 steps"' --set "time.steps=$steps"
    seconds "$home/run/run.json" >>"$home/without"
    run --set "checkpoint.every=\"$((steps / 4)) steps\"" --set "time.steps=$steps"
    seconds "$home/run/run.json" >>"$home/with"
    run
    field "$home/run/events.jsonl" blocking_seconds head >>"$home/blocking"
    field "$home/run/events.jsonl" write_seconds head >>"$home/beside"
    field "$home/run/events.jsonl" write_seconds tail >>"$home/writing"
    "$plain" chunk "$home/run" >>"$home/chunk"
    "$plain" unchecked "$home/run" >>"$home/unchecked"
    case $columns in
    *same*)
        run --local-ranks 4 --ranks 4x1x1 --set checkpoint.keep=1
        for what in read same fewer more; do
            case $what in
            read) cold "$plain" read "$home/run/checkpoints" ;;
            same) cold "$plain" restore "$home/run" 4 ;;
            fewer) cold "$plain" restore "$home/run" 3 ;;
            more) cold "$plain" restore "$home/run" 6 ;;
            esac >>"$home/$what"
        done
        ;;
    esac
    rm -rf "$home/run"
    "$plain" copy "$bytes" >>"$home/copy"
    "$plain" write "$home" "$bytes" >>"$home/plain"
    for what in $columns; do printf '%s %.4f s  ' "$what" "$(tail -n 1 "$home/$what")"; done
    echo
done
printf 'state %s bytes, medians of %s rounds:\n' "$bytes" "$rounds"
printf 'steps held up: %.4f s, %s times a copy in memory (%.4f s); wanted: at most 1.2\n' \
    "$(median blocking)" "$(ratio "$(median blocking)" "$(median copy)")" "$(median copy)"
printf 'written in:    %.4f s, at %s of the speed of a plain write and fsync (%.4f s); wanted: at least 0.9\n' \
    "$(median writing)" "$(ratio "$(median plain)" "$(median writing)")" "$(median plain)"
printf 'beside steps:  %.4f s, on the cores that compute\n' "$(median beside)"
printf 'checksums:     a chunk takes %s times as long as without (%.4f s, %.4f s); wanted: at most 1.03\n' \
    "$(ratio "$(median chunk)" "$(median unchecked)")" "$(median chunk)" "$(median unchecked)"
# Daly's interval for 24 hours: what three checkpoints added to a run, slower steps while they are written included.
awk "BEGIN { d = ($(median with) - $(median without)) / 3; if (d < $(median blocking)) d = $(median blocking)
    m = 86400; s = d / (2 * m); t = sqrt(2 * d * m) * (1 + sqrt(s) / 3 + s / 9) - d
    printf \"in all:        %.3f s each; every %.0f s (Daly, mtbf 24 h) %.2f %% of a run; wanted: below 1 %%\\n\", d, t, 100 * d / (t + d) }"
case $columns in
*same*)
    printf 'restored:      %.4f s on as many ranks, at %s of the speed of a plain cold read (%.4f s); wanted: at least 0.9\n' \
        "$(median same)" "$(ratio "$(median read)" "$(median same)")" "$(median read)"
    printf 'on others:     %s times that on 3 ranks instead of 4, %s on 6; wanted: at most 1.25\n' \
        "$(ratio "$(median fewer)" "$(median same)")" "$(ratio "$(median more)" "$(median same)")"
    ;;
*) echo "SKIPPED  restarts: only root can empty the system's cache" ;;
esac
