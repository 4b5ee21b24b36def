#!/usr/bin/env bash
# Time without failures in both modes, interleaved, on two cores: heat on 256^3 points in 2x2x1 blocks and gray-scott on 2048^2
# points in 2x2 blocks, both f64 with T = 8.
#   benches/modes.sh [STEPS] [ROUNDS] [heat|gray-scott]      9000 steps of heat take about a minute, 5000 of gray-scott; 5 rounds
# Prints the seconds of each run and medians, and data-center mode's over the faster of the two runs in torus mode. All runs end
# with the same bits, which is checked. Leaves nothing behind. A quiet machine and a release build are needed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
cd "$checkout"

steps=${1:-9000} rounds=${2:-5} jobs=${3:-heat gray-scott}
program=${RINGFORT:-target/release/ringfort}
mpirun=$(mpi_tool openmpi mpirun) || die 2 "no mpirun of Open MPI; run scripts/setup.sh"
[ -x "$program" ] || die 2 "no $program; run cargo build --release"
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

cat >"$home/heat.toml" <<END
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
END
cat >"$home/gray-scott.toml" <<END
[grid]
points = [2048, 2048]
[kernel]
name = "gray-scott"
du = 0.16
dv = 0.08
feed = 0.035
kill = 0.065
[fields]
u = { formula = "1 - 0.5*exp(-((x-1024)^2 + (y-1024)^2) / 20000)" }
v = { formula = "0.25*exp(-((x-1024)^2 + (y-1024)^2) / 20000)" }
[time]
steps = $steps
dt = 1.0
[checkpoint]
every = "1000 steps"
[torus]
steps_per_exchange = 8
[datacenter]
blocks = [2, 2]
END

run() { # JOB NAME COMMAND...: appends the seconds that it takes.
    local job=$1 name=$2 began=$EPOCHREALTIME
    shift 2
    rm -rf "${home:?}/$name"
    "$@" "$home/$job.toml" --out "$home/$name" >"$home/said" 2>&1 || die $? "$name failed: $(tail -n 3 "$home/said")"
    awk "BEGIN { print $EPOCHREALTIME - $began }" >>"$home/$job.$name.s"
    printf '%s %.1f s  ' "$name" "$(tail -n 1 "$home/$job.$name.s")"
    [ "$name" = "1-rank-2-threads" ] || "$program" checkpoint diff "$home/1-rank-2-threads" "$home/$name" >/dev/null
}

median() { sort -n "$home/$1.s" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

for job in $jobs; do
    for ((round = 1; round <= rounds; round++)); do
        run "$job" 1-rank-2-threads "$program" run --threads 2
        run "$job" 2-ranks-1-thread "$mpirun" -n 2 "$program" run --threads 1
        run "$job" 1-worker-2-threads "$program" datacenter run --workers 1 --threads 2
        run "$job" 2-workers-1-thread "$program" datacenter run --workers 2 --threads 1
        echo
    done
    torus=$(printf '%s\n' "$(median "$job.1-rank-2-threads")" "$(median "$job.2-ranks-1-thread")" | sort -n | head -n 1)
    for name in 1-worker-2-threads 2-workers-1-thread; do
        printf '%s, %s: median %.1f s, %.3f times the faster torus run (%.1f s)\n' "$job" "$name" "$(median "$job.$name")" \
            "$(awk "BEGIN { print $(median "$job.$name") / $torus }")" "$torus"
    done
done
