#!/usr/bin/env bash
# Looks for bytes that break the parsers of checkpoints: for so many seconds each (default 600). Needs a nightly compiler; installs
# cargo-fuzz if it is missing; the first build takes some ten minutes. What it learns goes to target/fuzz; tests/fuzz/corpus is what
# it begins with, and what the tests run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$checkout"

seconds=${1:-600}
case $seconds in
*[!0-9]* | "") die 2 "usage: scripts/fuzz.sh [SECONDS]" ;;
esac
cargo +nightly --version >/dev/null 2>&1 || die 1 "no nightly compiler; install one with: rustup toolchain install nightly --profile minimal"
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz

for target in manifest metadata; do
    heading "$target"
    corpus=target/fuzz/$target
    mkdir -p "$corpus" target/fuzz/findings
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz/build "$target" "$corpus" "tests/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -artifact_prefix=target/fuzz/findings/ -rss_limit_mb=1024 -timeout=10 -print_final_stats=1
done
