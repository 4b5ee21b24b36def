#!/usr/bin/env bash
# Every check there is: format, lints, tests, documentation, the build without MPI, ranks under Open MPI and MPICH,
# licences and advisories of the dependencies. Ends at the first that fails, with its exit code.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$checkout"
exec </dev/null

[ $# = 0 ] || die 2 "no arguments; for one test: cargo test NAME"

step_name=""
step() { # WORDS: closes the step before and opens the next.
    [ -z "$step_name" ] || printf -- '-- %s: %s s\n' "$step_name" $((SECONDS - step_start_s))
    step_name=$*
    step_start_s=$SECONDS
    heading "$step_name"
}
step_start_s=0
trap 'code=$?; [ $code = 0 ] || printf "\ntest.sh: FAILED in \"%s\" with exit code %s after %s s\n" "$step_name" $code $SECONDS >&2' EXIT

# A clone that is built once gains nothing from incremental builds, and nobody steps through it.
if [ -n "${CI:-}" ]; then
    unset_only CARGO_INCREMENTAL 0
    unset_only CARGO_PROFILE_DEV_DEBUG 0
fi
target=${CARGO_TARGET_DIR:-$checkout/target}
skipped=()

step "setup"
bounded 1500 scripts/setup.sh --tests
openmpi_mpicc=$(mpi_tool openmpi mpicc)
openmpi_mpirun=$(mpi_tool openmpi mpirun)
mpich_mpicc=$(mpi_tool mpich mpicc)
mpich_mpirun=$(mpi_tool mpich mpirun)
export RINGFORT_PYTHON="$checkout/.venv/bin/python"
rustc --version
printf '%s\n' "$openmpi_mpirun" "$mpich_mpirun" "$("$RINGFORT_PYTHON" --version)"

step "format"
cargo fmt --all --check

step "scripts"
if command -v shellcheck >/dev/null; then
    shellcheck -x scripts/*.sh benches/*.sh src/cli/new/*.sh .ci/run
else
    for script in scripts/*.sh benches/*.sh src/cli/new/*.sh .ci/run; do bash -n "$script"; done
    skipped+=("shellcheck: not installed; only the scripts' syntax was checked")
fi

# Warnings are errors here and only here, so that they never stop a person in the middle of an edit.
step "lints"
MPICC=$openmpi_mpicc cargo clippy --workspace --all-targets --locked -- -D warnings

step "lints without MPI"
cargo clippy --workspace --all-targets --no-default-features --locked -- -D warnings

step "tests, ranks under Open MPI"
MPICC=$openmpi_mpicc bounded 1500 cargo test --workspace --locked --no-run
MPICC=$openmpi_mpicc RINGFORT_MPIRUN=$openmpi_mpirun RINGFORT_BIN="$target/debug/ringfort" \
    bounded 1500 cargo test --workspace --locked

# The build finds its MPI by $MPICC alone, and takes no notice of a change: so a folder of its own, which begins with all
# that was built above but MPI.
step "ranks under MPICH"
if [ ! -d "$target/mpich" ]; then
    mkdir -p "$target/mpich.new/debug/deps"
    cp -a "$target/debug/.fingerprint" "$target/debug/build" "$target/mpich.new/debug/"
    find "$target/debug/deps" -maxdepth 1 -type f ! -perm -u+x -exec cp -a -t "$target/mpich.new/debug/deps" {} +
    cp -a "$target"/debug/deps/*.so "$target/mpich.new/debug/deps/"
    rm -rf "$target"/mpich.new/debug/{.fingerprint,build}/{mpi,mpi-sys,build-probe-mpi}-*
    mv "$target/mpich.new" "$target/mpich"
fi
MPICC=$mpich_mpicc CARGO_TARGET_DIR="$target/mpich" bounded 1500 cargo test --locked --no-run --test mpi
if command -v ldd >/dev/null; then
    ldd "$target/mpich/debug/ringfort" | grep -i mpich || die 1 "$target/mpich/debug/ringfort is not linked to MPICH"
fi
MPICC=$openmpi_mpicc RINGFORT_MPIRUN=$mpich_mpirun RINGFORT_BIN="$target/mpich/debug/ringfort" \
    bounded 900 cargo test --locked --test 'mpi*' -- --test-threads=1

# With data-center mode, so that what it is built from is what was built above. Engine and kernels have no such features:
# their tests ran above.
step "tests without MPI"
bounded 900 cargo test -p ringfort --no-default-features --features datacenter --locked --lib

step "documentation"
MPICC=$openmpi_mpicc RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

step "dependencies"
cargo deny check bans licenses sources
# The advisories come from the network, or from an earlier fetch.
if bounded 120 cargo deny fetch db >"$target/advisories.log" 2>&1; then
    cargo deny --offline check advisories
elif ls "${CARGO_HOME:-$HOME/.cargo}"/advisory-dbs/*/.git/HEAD >/dev/null 2>&1; then
    note "no network for new advisories: checking against those fetched earlier"
    cargo deny --offline check advisories
else
    skipped+=("advisories: no network and no earlier fetch ($target/advisories.log); run: cargo deny check advisories")
fi

step "end"
for what in ${skipped[@]+"${skipped[@]}"}; do
    printf 'SKIPPED  %s\n' "$what"
done
printf 'test.sh: all checks that ran passed, %s skipped, %s s\n' ${#skipped[@]} $SECONDS
