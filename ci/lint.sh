#!/usr/bin/env bash
# ci/lint.sh: formatting, and clippy over every target of both crates, tests and examples included, with warnings as
# errors. The library is linted with every set of features by ci/features.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never
cargo fmt --all --check
cargo clippy --workspace --all-targets -- -Dwarnings
echo "lint: good"
