#!/usr/bin/env bash
# A tsunami on 4 ranks, of which one is killed half way; it goes on as 6: the same bits as if nothing had happened.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$checkout"
exec </dev/null

[ $# -le 2 ] || die 2 "usage: scripts/demo.sh [STEPS [EVERY]]; it runs examples/ocean.toml and writes to out/demo"
# 16 of the job's 24 hours, unless told otherwise, and checkpoints as often as the job says.
steps=${1:-2880}
every=(${2:+--set "checkpoint.every=\"$2 steps\""})

job=examples/ocean.toml
undisturbed=out/demo/undisturbed
crashed=out/demo/crashed
ranks=4
ranks_after=6

heading "Setup and build"
scripts/setup.sh
# A program that is named is run as it is.
if [ -z "${RINGFORT:-}" ]; then
    cargo build --release --locked
    export RINGFORT="$checkout/target/release/ringfort"
fi
mpirun=$(find_mpirun) || die 1 "no mpirun; scripts/setup.sh says what to install"
export RINGFORT_MPIRUN=$mpirun

say_and_run() {
    if [ "$1" = bounded ]; then
        printf '$ %s\n' "${*:3}"
    else
        printf '$ %s\n' "$*"
    fi
    "$@"
}

# Each rank computes with one thread: two ranks a core are plenty.
run_job=("$mpirun" -n "$ranks" "$RINGFORT" run "$job" --ranks 2x2 --threads 1 --steps "$steps" ${every[@]+"${every[@]}"} --out)

# All descendants of PID whose program is ringfort: the ranks, whether the launcher starts them itself or through a helper.
ranks_of() { # PID
    ps -A -o pid= -o ppid= -o comm= | awk -v root="$1" '
        { parent[$1] = $2; name[$1] = $3 }
        END {
            for (pid in parent) {
                if (name[pid] !~ /(^|\/)ringfort$/) continue
                for (up = parent[pid]; up > 1 && up != root; up = parent[up]) { }
                if (up == root) print pid
            }
        }' | sort -n
}

committed() { # DIR: its checkpoints, oldest first; a checkpoint exists when its MANIFEST does
    local manifest
    for manifest in "$1"/checkpoints/step-*/MANIFEST; do
        [ -f "$manifest" ] && dirname "$manifest"
    done
    return 0
}

launcher=""
clean_up() {
    if [ -n "$launcher" ]; then
        kill -TERM "$launcher" 2>/dev/null || true
    fi
}
trap clean_up EXIT

rm -rf out/demo
mkdir -p out/demo

heading "1. The undisturbed run, $ranks ranks"
say_and_run bounded 600 "${run_job[@]}" "$undisturbed"

heading "2. The same job again; one rank is killed (SIGKILL) after the first checkpoint"
printf '$ %s\n' "${run_job[*]} $crashed &"
"${run_job[@]}" "$crashed" &
launcher=$!
deadline_s=$((SECONDS + 300))
while [ -z "$(committed "$crashed")" ]; do
    kill -0 "$launcher" 2>/dev/null || die 1 "the run ended before its first checkpoint"
    [ $SECONDS -lt $deadline_s ] || die 1 "no checkpoint within 300 s"
    sleep 0.05
done
victim=$(ranks_of "$launcher" | tail -n 1)
[ -n "$victim" ] || die 1 "found no rank to kill: the run was over first, or ps does not show it"
kill -KILL "$victim"
echo "   killed process $victim, one of the $ranks ranks"

killed_s=$SECONDS
while kill -0 "$launcher" 2>/dev/null; do
    [ $SECONDS -lt $((killed_s + 60)) ] || die 1 "mpirun still runs 60 s after the kill"
    sleep 0.1
done
code=0
wait "$launcher" || code=$?
launcher=""
[ "$code" != 0 ] || die 1 "mpirun ended with 0, as if nothing had happened"
echo "   mpirun ended the job with exit code $code. That is MPI's way: a lost rank ends the run."
say_and_run "$RINGFORT" checkpoint list "$crashed"
last=$(committed "$undisturbed" | tail -n 1)
if [ -f "$crashed/checkpoints/$(basename "$last")/MANIFEST" ]; then
    die 1 "the run had reached its last step before the kill; nothing to restart"
fi

heading "3. Restart from the newest checkpoint, on $ranks_after ranks instead of $ranks"
say_and_run bounded 600 scripts/restart.sh "$crashed" -n "$ranks_after" --threads 1 --steps "$steps"

heading "4. Compare the ends, bit for bit"
again=$crashed/checkpoints/$(basename "$last")
say_and_run "$RINGFORT" checkpoint diff "$last" "$again" ||
    die 1 "the killed and restarted run ended in other bits than the undisturbed one"
echo "   Same bits."

heading "5. A film of all of it"
say_and_run "$RINGFORT" render "$crashed" --film --out out/demo/ocean-film.png

heading "Done in $SECONDS s"
cat <<TEXT
picture of the end        $checkout/$crashed/images/surface-$(basename "$last").png
film                      $checkout/out/demo/ocean-film.png (any browser shows it)
pictures of the way       $checkout/$crashed/images
end, undisturbed          $checkout/$last
end, killed and restarted $checkout/$again
Both ends are Zarr groups: xarray.open_zarr(path) and zarr.open_group(path) open them.
TEXT
