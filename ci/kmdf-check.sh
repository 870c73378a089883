#!/usr/bin/env bash
# ci/kmdf-check.sh: compiles the library with its KMDF backend on stock Rust, for this host, against
# the stand-in of cross/ and the genuine wdk-macros; runs the tests of the stand-in; and shows that a
# wrong table index, a warning and an undocumented unsafe block are found.
# Needs rustup and a C linker. Exit: 0 good, 1 does not compile or fails, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export RUSTFLAGS="--cfg wdk_standin -Dwarnings"
export CARGO_TERM_COLOR=never
target=$root/cross/target

tree=$root

# in_cross SUBCOMMAND...: cargo in the workspace of the stand-in of $tree, without the network.
in_cross() {
    local subcommand=$1
    shift
    # wdk-macros keeps the prototypes it has read and never reads them again.
    if [ -d "$target" ]; then
        find "$target" -name cached_function_info_map.json -delete
    fi
    cargo "$subcommand" --manifest-path "$tree/cross/Cargo.toml" --target-dir "$target" \
        --offline --locked "$@"
}

# Clippy over the library itself. `cargo clippy` leaves path dependencies out, so the driver of clippy
# takes the place of rustc; crates of the registry silence it by --cap-lints.
lint_library() {
    local target=$target/clippy
    RUSTC_WRAPPER=$(command -v clippy-driver) CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__" \
        in_cross check -p backend --features "$1"
}

# The files that are written against wdk_sys.
backend_files() {
    grep -rlE '\bwdk_sys::' --include='*.rs' src/kmdf 2>/dev/null | sort || true
}

# The library is compiled with its backend, not with the backend configured away.
backend_is_compiled() {
    local file sources
    sources=$(find "$target/debug/deps" -name 'bottomhalf-*.d' -newer "$temporary/start" \
        -exec cat {} + | grep -oE 'src/kmdf[A-Za-z0-9_/]*\.rs' | sort -u) || true
    for file in $(backend_files); do
        grep -qxF -- "$file" <<<"$sources" || fail "rustc has not read $file"
    done
    printf 'rustc has read %s files that name wdk_sys\n' "$(backend_files | wc -l)"
}

step "fetch"
fetch cross/Cargo.toml
touch "$temporary/start"

step "compile, with warnings as errors"
touch src/lib.rs
in_cross check --workspace --all-targets
backend_is_compiled
for features in alloc mock sim alloc,sim; do
    in_cross check -p backend --features "$features"
done

step "clippy and rustfmt"
command -v clippy-driver >/dev/null || fail "clippy is missing: rustup component add clippy"
in_cross clippy --workspace --all-targets -- -D warnings
cargo fmt --manifest-path cross/Cargo.toml -p wdk-sys -p wdk -p wdk-build -p wdk-panic \
    -p wdk-alloc -p wdf-driver-entry -p probe -p backend -- --check
lint_library alloc

step "run the tests of the stand-in"
in_cross test --workspace

step "negative control: a wrong table index is found by the test"
tree=$control/tree target=$control/target
control_tree
sed -i 's/\(WdfDpcEnqueueTableIndex: Type = \)112;/\1113;/' "$tree/mock/src/abi/functions.rs"
expect_failure 'name: "WdfDpcCancel"' in_cross test -p probe --test table

step "negative control: a warning in the backend is found"
control_tree
planted_in=$(backend_files | head -n 1)
printf '#[cfg(feature = "kmdf")]\nfn planted() {}\n' >>"$tree/${planted_in:-src/lib.rs}"
expect_failure 'function `planted` is never used' in_cross check -p backend

step "negative control: clippy reads the backend"
control_tree
cat >>"$tree/${planted_in:-src/lib.rs}" <<'RUST'
/// Planted.
///
/// # Safety
/// None.
#[cfg(feature = "kmdf")]
#[allow(dead_code, unreachable_pub, reason = "planted")]
pub unsafe fn planted(pointer: *const u8) -> u8 {
    unsafe { *pointer }
}
RUST
expect_failure 'unsafe block missing a safety comment' lint_library alloc

printf '\nkmdf-check: good\n'
