#!/usr/bin/env bash
# ci/doc.sh: the documentation of both crates builds without a warning, with all features and with none.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTDOCFLAGS="-Dwarnings" CARGO_TERM_COLOR=never
cargo doc --workspace --no-deps --features bottomhalf/alloc,bottomhalf/sim
cargo doc -p bottomhalf --no-deps
echo "doc: good"
