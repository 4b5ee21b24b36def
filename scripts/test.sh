#!/usr/bin/env bash
# Every check there is: format, lints with and without MPI, tests, documentation, ranks under Open MPI and MPICH,
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
builder=""
trap 'code=$?; [ -z "$builder" ] || kill -- "-$builder" 2>/dev/null; [ $code = 0 ] || printf "\ntest.sh: FAILED in \"%s\" with exit code %s after %s s\n" "$step_name" $code $SECONDS >&2' EXIT

# A clone that is built once gains nothing from incremental builds, and nobody steps through it.
if [ -n "${CI:-}" ]; then
    unset_only CARGO_INCREMENTAL 0
    unset_only CARGO_PROFILE_DEV_DEBUG 0
fi
# All ranks are on this machine; to look for networks takes Open MPI as long as all else at a start.
unset_only OMPI_MCA_pml ob1
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

step "build for the tests"
MPICC=$openmpi_mpicc bounded 1500 cargo test --workspace --locked --no-run

# What later steps need is built while the tests run, with the processor time that they leave: in a folder of its own, which
# begins with all that was built above but MPI, since the build finds its MPI by $MPICC alone and takes no notice of a change.
other=$target/other
if [ ! -d "$other" ]; then
    mkdir -p "$other.new/debug/deps"
    cp -a "$target/debug/.fingerprint" "$target/debug/build" "$other.new/debug/"
    find "$target/debug/deps" -maxdepth 1 -type f ! -perm -u+x -exec cp -a -t "$other.new/debug/deps" {} +
    cp -a "$target"/debug/deps/*.so "$other.new/debug/deps/"
    rm -rf "$other.new"/debug/{.fingerprint,build}/{mpi,mpi-sys,build-probe-mpi}-*
    mv "$other.new" "$other"
fi
# Tests that only compute, longest first: they use what processor time others leave, and mind no wait.
patient=(same_bits docs restarts earth elastic sums shallow_water)
# Warnings are errors here and only here, so that they never stop a person in the middle of an edit.
beside() {
    renice -n 19 "$BASHPID" >/dev/null
    export CARGO_TARGET_DIR=$other
    MPICC=$mpich_mpicc cargo test --locked --no-run --test mpi
    MPICC=$mpich_mpicc cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --workspace --all-targets --no-default-features --locked -- -D warnings
    MPICC=$mpich_mpicc RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
    CARGO_TARGET_DIR=$target MPICC=$openmpi_mpicc cargo test --workspace --locked "${patient[@]/#/--test=}"
}
# A process group of its own, to end it whole.
set -m
beside >"$target/beside.log" 2>&1 &
builder=$!
set +m

step "tests, ranks under Open MPI"
others=(--test=inlined)
for test in tests/*.rs; do
    name=$(basename "$test" .rs)
    [[ " ${patient[*]} " = *" $name "* ]] || others+=("--test=$name")
done
under_openmpi() {
    MPICC=$openmpi_mpicc RINGFORT_MPIRUN=$openmpi_mpirun RINGFORT_BIN="$target/debug/ringfort" bounded 1500 cargo test --workspace --locked "$@"
}
under_openmpi --lib --bins --examples "${others[@]}"
under_openmpi --doc

step "lints, documentation, patient tests"
code=0
wait "$builder" || code=$?
builder=""
cat "$target/beside.log"
[ $code = 0 ] || exit $code

step "ranks under MPICH"
if command -v ldd >/dev/null; then
    ldd "$other/debug/ringfort" | grep -i mpich || die 1 "$other/debug/ringfort is not linked to MPICH"
fi
MPICC=$openmpi_mpicc RINGFORT_MPIRUN=$mpich_mpirun RINGFORT_BIN="$other/debug/ringfort" \
    bounded 900 cargo test --locked --test 'mpi*' -- --test-threads=1

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
