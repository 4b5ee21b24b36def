#!/usr/bin/env bash
# Exchanges of halos beside a program in C that does nothing else (benches/halo.c): the same messages through persistent requests,
# packed from and unpacked to the same places, two ranks, in turn; and how much of the time that messages travel is hidden.
#   benches/halo.sh [ROUNDS] [openmpi|mpich]...      5 rounds of both MPIs take about two minutes once all is built
# Wanted: small faces in at most 1.10 times the seconds of C, at least 95 % of its bandwidth from 1 MiB on, and at least 90 %
# hidden where the cells that need no halo take twice as long as the messages. A quiet machine with two cores is needed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
cd "$checkout"

rounds=${1:-5}
[ $# = 0 ] || shift
families=("$@")
[ ${#families[@]} -gt 0 ] || families=(openmpi mpich)
faces=(1x1 4x4 8x16 8x64 64x2048 256x2048)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

# As `cargo bench` builds it; MPICH in a folder of its own, as in scripts/test.sh. $RINGFORT_HALO_PROFILE names another profile.
build() { # FAMILY: prints the path of Ringfort's program.
    local folder=${CARGO_TARGET_DIR:-target} mpicc
    mpicc=$(mpi_tool "$1" mpicc) || return 1
    [ "$1" = openmpi ] || folder=$folder/$1
    "$mpicc" -O3 -march=native -Wno-stringop-overflow -o "$home/c-$1" benches/halo.c
    MPICC=$mpicc CARGO_TARGET_DIR=$folder cargo bench --locked --no-default-features --features mpi --bench halo --no-run \
        --profile "${RINGFORT_HALO_PROFILE:-bench}" 2>&1 | tee "$home/build" >&2
    sed -n 's/.*Executable.*(\(.*\))$/\1/p' "$home/build" | tail -n 1
}

median() { sort -g | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

for family in "${families[@]}"; do
    mpirun=$(mpi_tool "$family" mpirun) || { note "SKIPPED  $family: no mpirun; run scripts/setup.sh --tests" && continue; }
    program=$(build "$family") || die 1 "no program for $family"
    heading "$family: $("$mpirun" --version 2>&1 | head -n 1 | cut -c 1-60)"
    for ((round = 1; round <= rounds; round++)); do
        for which in c rust; do
            [ "$which" = c ] && run=("$home/c-$family") || run=("$program")
            bounded 60 "$mpirun" -n 2 "${run[@]}" 40000 "${faces[@]}" >"$home/$family.$which.$round"
        done
    done
    printf '%10s %14s %14s %8s\n' 'bytes' 'C' 'Ringfort' 'ratio'
    for face in "${faces[@]}"; do
        bytes=$((8 * ${face%x*} * ${face#*x}))
        of() { awk -v bytes="$bytes" '$1 == bytes { print $2 }' "$home/$family.$1".* | median; }
        # The median of ratios of neighbours in time, which see the same machine.
        ratio=$(for ((round = 1; round <= rounds; round++)); do
            awk -v bytes="$bytes" '$1 == bytes { seconds[FILENAME] = $2; last = FILENAME } FNR == 1 && !first { first = FILENAME }
                END { print seconds[last] / seconds[first] }' "$home/$family.c.$round" "$home/$family.rust.$round"
        done | median)
        awk -v bytes="$bytes" -v c="$(of c)" -v rust="$(of rust)" -v ratio="$ratio" 'BEGIN {
            if (bytes < 65536) printf "%10d %11.2f us %11.2f us %8.2f  %s\n", bytes, 1e6 * c, 1e6 * rust, ratio, ratio <= 1.1 ? "" : "above 1.10"
            else printf "%10d %9.2f GB/s %9.2f GB/s %7.0f%%  %s\n", bytes, bytes / c / 1e9, bytes / rust / 1e9, 100 / ratio, 1 / ratio >= 0.95 ? "" : "below 95%"
        }'
    done
    bounded 120 "$mpirun" -n 2 "$program" hidden 128 40
done
