#!/usr/bin/env bash
# ci/features.sh: compiles and lints the library with every combination of the features kmdf, mock,
# alloc and sim, warnings as errors, and shows that a warning in a single combination is found. The
# same for HZ, which the builder may choose: Linux's other values compile, what Linux refuses does not.
# Needs rustup and a C linker. Exit: 0 good, 1 does not compile, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly features=(kmdf mock alloc sim)
tree=$root target=$root/target

# in_tree SUBCOMMAND...: cargo in the workspace of $tree, without the network.
in_tree() {
    local subcommand=$1
    shift
    cargo "$subcommand" --manifest-path "$tree/Cargo.toml" --target-dir "$target" \
        --offline --locked "$@"
}

# lint FEATURES: the library alone, so that the dev-dependencies turn on no further features.
lint() {
    in_tree clippy --package bottomhalf --lib --no-deps --no-default-features --features "$1" \
        -- -D warnings
}

step "fetch"
fetch Cargo.toml

step "the features of the manifest are those of this script"
declared=$(sed -n '/^\[features\]/,/^\[[^f]/{s/^\([a-z_-]*\) = .*/\1/p}' Cargo.toml | sort)
expected=$(printf '%s\n' default "${features[@]}" | sort)
[ "$declared" = "$expected" ] || fail "Cargo.toml declares: ${declared//$'\n'/ }"

combinations=$((1 << ${#features[@]}))
for ((bits = 0; bits < combinations; bits++)); do
    chosen=()
    for ((index = 0; index < ${#features[@]}; index++)); do
        if ((bits >> index & 1)); then chosen+=("${features[index]}"); fi
    done
    combination=$(IFS=, && printf '%s' "${chosen[*]}")
    step "features: ${combination:-none}"
    lint "$combination"
done

step "build: kmdf and mock, each alone, both, none"
for combination in "" kmdf mock kmdf,mock; do
    in_tree build --package bottomhalf --lib --no-default-features --features "$combination"
done

step "HZ: 100, 300, 1000 and 1024 compile, 11 does not"
for hz in 100 300 1000 1024; do
    BOTTOMHALF_HZ=$hz lint mock
done
BOTTOMHALF_HZ=11 expect_failure 'BOTTOMHALF_HZ is not a whole number from 12 to 12287' lint mock

step "negative control: a warning in one combination is found there and nowhere else"
tree=$control/tree target=$control/target
control_tree
printf '#[cfg(all(feature = "kmdf", feature = "mock", not(feature = "alloc")))]\nfn planted() {}\n' \
    >>"$tree/src/lib.rs"
lint kmdf
expect_failure 'function `planted` is never used' lint kmdf,mock

printf '\nfeatures: good, %s combinations\n' "$combinations"
