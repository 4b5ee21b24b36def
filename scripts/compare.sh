#!/usr/bin/env bash
# The standard comparison: a tsunami in both modes, undisturbed and under the same kills. Takes some minutes on two cores.
#   scripts/compare.sh [DIR [ARGS]]      writes report.html, report.json and report.csv to DIR, out/compare unless named; arguments
#                                        of ringfort compare take the place of the standard ones
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$checkout"
exec </dev/null

case ${1:-} in
-h | --help)
    echo "usage: scripts/compare.sh [DIR [arguments of ringfort compare]]"
    exit 0
    ;;
esac
out=${1:-out/compare}
# A failure in half the time that an undisturbed run takes, and in twice that time, on average.
settings=(--mtbf "6s,24s" --repeats 3 --seed 1 --repair 2s --set time.steps=360 --set 'checkpoint.every="15 steps"' --set 'datacenter.lease="2 s"')
[ $# -le 1 ] || settings=("${@:2}")
[ ! -e "$out/report.json" ] || die 2 "$out holds a report; name another folder, or remove that one"

scripts/setup.sh
# A program that is named is run as it is.
if [ -z "${RINGFORT:-}" ]; then
    cargo build --release --locked
    RINGFORT=target/release/ringfort
fi
RINGFORT_MPIRUN=$(find_mpirun) || die 1 "no mpirun; scripts/setup.sh says what to install"
export RINGFORT_MPIRUN

bounded 900 "$RINGFORT" compare examples/ocean.toml --out "$out" "${settings[@]}"
