#!/usr/bin/env bash
# Ringfort and other stencil tools, measured in turn in one run on this machine.
#   benches/peers.sh PEERS_DIR [ROUNDS]       5 rounds; needs a release build, and gcc for the C peers
# PEERS_DIR holds the peers: cpeer.c, common.py and peer_*.py, each a worker that runs once for each line that it reads.
#   PEERS_PYTHON=PATH      python with numpy, devito, halide, numba [python3]; peers that it lacks are skipped by name
#   WORKS="heat-256 ..."   of heat-256 heat-512 wave-256 gray-scott-2048 [all];  THREADS="1 2" [both]
# Prints a table for each work and number of threads: median, slowest and fastest Gcell/s, Ringfort's median over each, and how far each
# peer's result on a small grid is from a plain reference and from Ringfort's. Exit code 1 if a result is wrong. Leaves nothing.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

{ [ $# -ge 1 ] && [ -f "$1/common.py" ]; } || die 2 "usage: benches/peers.sh PEERS_DIR [ROUNDS]; PEERS_DIR holds common.py and the peers"
peers=$(cd "$1" && pwd) rounds=${2:-5}
program=${RINGFORT:-$checkout/target/release/ringfort}
python=${PEERS_PYTHON:-python3}
[ -x "$program" ] || die 2 "no $program; run cargo build --release"
command -v "$python" >/dev/null || die 2 "no $python"
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

if ! gcc -O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp "$peers/cpeer.c" -o "$home/cpeer" -lm 2>"$home/said"; then
    note "SKIPPED  all C peers: $(head -n 1 "$home/said")"
fi
cd "$home"
PYTHONDONTWRITEBYTECODE=1 "$python" "$checkout/benches/peers.py" \
    "$peers" "$rounds" "$program" "$home" "${WORKS:-heat-256 heat-512 wave-256 gray-scott-2048}" "${THREADS:-1 2}"
