# What the scripts of this folder share. Sourced, never run: `source "$(dirname "$0")/lib.sh"`.
# Sets `root` to the repository and changes into it; answers --help with the comment block that a
# script begins with.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

case "${1:-}" in
-h | --help)
    sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
esac

# Exit codes beyond 0 and 1.
readonly CANNOT_FETCH=3

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Where a negative control works: `control_tree` copies the working tree without build output to
# $control/tree, for a script to spoil, and cargo is to build it in $control/target. Both stay in place
# from run to run, because cargo takes two trees of the same shape for one; the copies are new files,
# so that cargo builds what is in them.
control=$root/target/control/$(basename "$0" .sh)

control_tree() {
    rm -rf "$control/tree"
    mkdir -p "$control/tree"
    tar --exclude=./target --exclude=./cross/target --exclude=./.git -cf - . |
        tar -C "$control/tree" -xmf -
}

# expect_failure TEXT COMMAND...: the command must fail, and its output must hold TEXT.
expect_failure() {
    local text=$1 log=$temporary/expected-failure.log
    shift
    if "$@" >"$log" 2>&1; then
        cat "$log"
        fail "the negative control passed, but was to fail with: $text"
    fi
    if ! grep -qF -- "$text" "$log"; then
        cat "$log"
        fail "the negative control failed, but not with: $text"
    fi
    printf 'the control fails as it should: %s\n' "$text"
}

# fetch MANIFEST: downloads what the lock file names. Ends the script with CANNOT_FETCH when the
# registry cannot be reached, and with 1 when the lock file does not fit the manifests.
fetch() {
    local log=$temporary/fetch.log
    command -v cargo >/dev/null || fail "cargo is not on the PATH: install rustup"
    if [ ! -f "$(dirname "$1")/Cargo.lock" ]; then
        fail "$(dirname "$1")/Cargo.lock is missing"
    fi
    for _ in 1 2 3; do
        if cargo fetch --locked --manifest-path "$1" >"$log" 2>&1; then
            return
        fi
        if grep -qE -- '--locked was passed|failed to parse manifest|failed to select a version' "$log"; then
            cat "$log"
            fail "the lock file next to $1 does not fit the manifests"
        fi
        sleep 2
    done
    cat "$log"
    printf '%s: COULD NOT FETCH the crates of %s; nothing is known about the code\n' \
        "$(basename "$0")" "$1" >&2
    exit "$CANNOT_FETCH"
}
