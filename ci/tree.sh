#!/usr/bin/env bash
# ci/tree.sh: the library without features depends on the crates listed here and on no others, on any
# target; each but spin and static_assertions is named by an ADR. Shows that one crate more is found.
# Needs rustup. Exit: 0 good, 1 other crates, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

readonly plain=(spin static_assertions)
readonly by_adr=(intrusive-collections)

# crates FEATURES: the names of all crates that end up in the library, the library's own left out.
crates() {
    cargo tree --package bottomhalf --edges normal --target all --prefix none --format '{p}' \
        --offline --locked --no-default-features --features "$1" |
        awk '$1 != "bottomhalf" { print $1 }' | sort -u
}

# only_expected FEATURES: fails and names the difference when the crates are not exactly those above.
only_expected() {
    diff <(printf '%s\n' "${plain[@]}" "${by_adr[@]}" | sort) <(crates "$1") || {
        printf 'the library with features "%s" has other crates than ci/tree.sh lists\n' "$1"
        return 1
    }
}

step "fetch"
fetch Cargo.toml

step "the library without features"
only_expected ""
crates ""

step "each further crate has its ADR"
if [ -d docs/adr ]; then
    for crate in "${by_adr[@]}"; do
        grep -rqw -- "$crate" docs/adr || fail "no ADR in docs/adr names $crate"
    done
else
    printf 'docs/adr does not exist yet\n'
fi

step "negative control: one crate more is found"
expect_failure '> kmdf-mock' only_expected mock

printf '\ntree: good\n'
