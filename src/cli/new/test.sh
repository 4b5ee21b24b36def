#!/usr/bin/env bash
# A few steps of the job end with the same bits on one rank and on four.
set -euo pipefail
cd "$(dirname "$0")"
ringfort=${RINGFORT:-ringfort}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for ranks in 1 4; do
    "$ringfort" run job.toml --steps 20 --local-ranks "$ranks" --out "$out/on-$ranks"
done
"$ringfort" checkpoint diff "$out/on-1" "$out/on-4"
