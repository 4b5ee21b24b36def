#!/usr/bin/env bash
# Time without failures in both modes, interleaved: heat on 256^3 points, T = 8, 2x2x1 blocks, on two cores.
#   benches/modes.sh [STEPS] [ROUNDS]      9000 steps take about a minute; 5 rounds
# Prints the seconds of each run and medians, and data-center mode's over the faster of the two runs in torus mode. All runs end
# with the same bits, which is checked. Leaves nothing behind. A quiet machine and a release build are needed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
cd "$checkout"

steps=${1:-9000} rounds=${2:-5}
program=${RINGFORT:-target/release/ringfort}
mpirun=$(mpi_tool openmpi mpirun) || die 2 "no mpirun of Open MPI; run scripts/setup.sh"
[ -x "$program" ] || die 2 "no $program; run cargo build --release"
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

cat >"$home/job.toml" <<EOF
[grid]
points = [256, 256, 256]
[kernel]
name = "heat"
[fields]
temperature = { formula = "sin(0.3*x)*cos(0.2*y) + 0.1*z" }
diffusivity = 0.5
[time]
steps = $steps
dt = 0.1
[checkpoint]
every = "1000 steps"
[torus]
steps_per_exchange = 8
[datacenter]
blocks = [2, 2, 1]
EOF

run() { # NAME COMMAND...: appends the seconds that it takes.
    local name=$1 began=$EPOCHREALTIME
    shift
    rm -rf "${home:?}/$name"
    "$@" "$home/job.toml" --out "$home/$name" >"$home/said" 2>&1 || die $? "$name failed: $(tail -n 3 "$home/said")"
    awk "BEGIN { print $EPOCHREALTIME - $began }" >>"$home/$name.s"
    printf '%s %.1f s  ' "$name" "$(tail -n 1 "$home/$name.s")"
    [ "$name" = "1-rank-2-threads" ] || "$program" checkpoint diff "$home/1-rank-2-threads" "$home/$name" >/dev/null
}

for ((round = 1; round <= rounds; round++)); do
    run 1-rank-2-threads "$program" run --threads 2
    run 2-ranks-1-thread "$mpirun" -n 2 "$program" run --threads 1
    run 1-worker-2-threads "$program" datacenter run --workers 1 --threads 2
    run 2-workers-1-thread "$program" datacenter run --workers 2 --threads 1
    echo
done

median() { sort -n "$home/$1.s" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
torus=$(printf '%s\n' "$(median 1-rank-2-threads)" "$(median 2-ranks-1-thread)" | sort -n | head -n 1)
for name in 1-worker-2-threads 2-workers-1-thread; do
    printf '%s: median %.1f s, %.3f times the faster torus run (%.1f s)\n' "$name" "$(median "$name")" \
        "$(awk "BEGIN { print $(median "$name") / $torus }")" "$torus"
done
