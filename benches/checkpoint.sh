#!/usr/bin/env bash
# What a checkpoint costs, in turn with what it cannot cost less than: how long it holds up the steps against a copy of the state in
# memory, and how long it is written against a plain write and fsync of as many bytes.
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

field() { # EVENTS KEY: of the first checkpoint, which is written while the run goes on.
    sed -n "/\"event\":\"checkpoint\"/s/.*\"$2\":\([-+0-9.e]*\).*/\1/p" "$1" | head -n 1
}
median() { sort -g "$home/$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

for ((round = 1; round <= rounds; round++)); do
    rm -rf "$home/run"
    "$program" run "$home/heat.toml" --out "$home/run" >"$home/said" 2>&1 || die $? "the run failed: $(tail -n 3 "$home/said")"
    field "$home/run/events.jsonl" blocking_seconds >>"$home/blocking"
    field "$home/run/events.jsonl" write_seconds >>"$home/writing"
    rm -rf "$home/run"
    "$plain" copy "$bytes" >>"$home/copy"
    "$plain" write "$home" "$bytes" >>"$home/plain"
    for what in blocking copy writing plain; do printf '%s %.4f s  ' "$what" "$(tail -n 1 "$home/$what")"; done
    echo
done
printf 'state %s bytes, medians of %s rounds:\n' "$bytes" "$rounds"
printf 'steps held up: %.4f s, %s times a copy in memory (%.4f s); wanted: at most 1.2\n' \
    "$(median blocking)" "$(ratio "$(median blocking)" "$(median copy)")" "$(median copy)"
printf 'written in:    %.4f s, at %s of the speed of a plain write and fsync (%.4f s); wanted: at least 0.9\n' \
    "$(median writing)" "$(ratio "$(median plain)" "$(median writing)")" "$(median plain)"
