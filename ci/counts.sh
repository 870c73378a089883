#!/usr/bin/env bash
# ci/counts.sh: counts the instructions of the operations of ci/counts under callgrind, in a release build on
# the simulated KMDF, without the simulator's own, and holds them against the budgets of
# ci/counts/src/bin/budget.rs, which also shows Linux's counts. The counts are the same on every machine
# with the same compiler. Shows that an operation with a loop too many is found.
# Needs rustup and a C linker; installs valgrind with apt. Exit: 0 good, 1 over a budget, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never

install_valgrind() {
    command -v valgrind >/dev/null && return
    local log=$temporary/apt.log
    if command -v apt-get >/dev/null && apt-get update >"$log" 2>&1 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends valgrind >>"$log" 2>&1; then
        return
    fi
    tail -n 20 "$log" 2>/dev/null || true
    printf 'counts.sh: COULD NOT FETCH valgrind; nothing is known about the code\n' >&2
    exit "$CANNOT_FETCH"
}

# build FEATURES: the operations and the program that adds up.
build() {
    cargo build --release --offline --locked --quiet --manifest-path ci/counts/Cargo.toml \
        --target-dir target/counts --features "$1"
}

# count FOLDER: one dump for each operation.
count() {
    local operation
    mkdir -p "$1"
    for operation in $(nm target/counts/release/counts | sed -n 's/.* T op_//p'); do
        valgrind --tool=callgrind --toggle-collect="op_$operation" \
            --callgrind-out-file="$1/$operation.out" target/counts/release/counts >"$1/$operation.log" 2>&1 || {
            cat "$1/$operation.log"
            fail "$operation does not run under callgrind"
        }
    done
}

budget() { target/counts/release/budget "$1"/*.out; }

step "valgrind"
install_valgrind
valgrind --version

step "clippy, rustfmt, build"
fetch ci/counts/Cargo.toml
cargo fmt --manifest-path ci/counts/Cargo.toml -- --check
cargo clippy --release --offline --locked --quiet --manifest-path ci/counts/Cargo.toml \
    --target-dir target/counts --all-targets -- -D warnings
build ""

step "instructions of one operation, at DISPATCH_LEVEL, of a batch of 1000; budgets; Linux's counts"
count "$temporary/run"
budget "$temporary/run" || fail "an operation is over its budget"

step "negative control: a loop too many"
build slow
count "$temporary/slow"
expect_failure "over its budget" budget "$temporary/slow"

printf '\ncounts: good\n'
