#!/usr/bin/env bash
# ci/fences.sh: who may name what. Crates, by a search of src/: wdk_sys and wdk in src/kmdf only,
# kmdf_mock in src/kmdf and src/sync, spin and loom in src/sync. Atomics and UnsafeCell in src/sync
# only: by a search, and by clippy with the feature sim, under which the atomics of src/sync are types
# of their own. Shows that one line in the wrong file is found.
# Needs rustup and a C linker. Exit: 0 good, 1 a line crosses a fence, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never

# A crate or a module of core or std, and the places under src/ that may name it.
readonly fences='
wdk_sys                       kmdf
wdk                           kmdf
kmdf_mock                     kmdf sync
spin                          sync
loom                          sync
(core|std)::sync::atomic      sync
(core|std)::cell::UnsafeCell  sync
'

# What src/sync may pass on from core as it is, so that clippy.toml cannot list it.
readonly atomics=(AtomicBool AtomicI32 AtomicU32 AtomicU64 AtomicUsize AtomicPtr)

# crates_in_place TREE: fails and shows each line that names a crate outside its places. Comments are
# no code; a name counts where a path, an import or `extern crate` makes it one of a crate.
crates_in_place() {
    local found=0 name places
    while read -r name places; do
        [ -n "$name" ] || continue
        local place except=() end='(::|[^A-Za-z0-9_]*;| as )'
        case $name in *::*) end='([^A-Za-z0-9_]|$)' ;; esac
        for place in $places; do
            except+=(! -path "$1/src/$place/*" ! -path "$1/src/$place.rs")
        done
        while IFS= read -r -d '' file; do
            if sed 's://.*$::' "$file" | grep -nE \
                "(^|[^A-Za-z0-9_:])(::)?$name$end|extern crate $name\b" |
                sed "s:^:${file#"$1"/}\:: "; then
                printf '    %s may be named in src/%s only\n' "$name" "${places// /, src/}"
                found=1
            fi
        done < <(find "$1/src" -name '*.rs' "${except[@]}" -print0)
    done <<<"$fences"
    return "$found"
}

# types_in_place TREE TARGET: clippy over the library with the feature sim, for the types that
# clippy.toml lists and the atomics.
types_in_place() {
    local rules=$temporary/clippy name
    mkdir -p "$rules"
    while IFS= read -r line; do
        printf '%s\n' "$line"
        if [ "$line" = 'disallowed-types = [' ]; then
            for name in "${atomics[@]}"; do
                printf '    { path = "core::sync::atomic::%s", reason = "src/sync chooses" },\n' "$name"
            done
        fi
    done <"$root/clippy.toml" >"$rules/clippy.toml"
    CLIPPY_CONF_DIR=$rules cargo clippy --manifest-path "$1/Cargo.toml" --target-dir "$2" --offline --locked \
        --package bottomhalf --lib --features sim --no-deps -- -D warnings
}

step "crates"
crates_in_place "$root"

step "types"
fetch Cargo.toml
types_in_place "$root" "$root/target"

step "negative controls: a line in the wrong file"
# plant TEXT: the copy of the tree, with TEXT in a new module of its own.
plant() {
    control_tree
    printf '\nmod planted;\n' >>"$control/tree/src/lib.rs"
    printf '%s\n' "$1" >"$control/tree/src/planted.rs"
}
for line in 'use wdk_sys::WDFDPC;' 'use wdk::println;' 'use kmdf_mock as nt;' \
    'pub(crate) use ::spin::Mutex;' 'extern crate loom;' 'type Lock = spin::mutex::SpinMutex<u8>;' \
    'use core::sync::atomic::{AtomicU32, Ordering};' 'type Cell = std::cell::UnsafeCell<u8>;'; do
    plant "$line"
    expect_failure "src/planted.rs:1:$line" crates_in_place "$control/tree"
done
plant 'use crate::sync::atomic; // spin::Mutex'
crates_in_place "$control/tree"
plant '//! A comment may speak of wdk_sys::WDFDPC and of spin::Mutex.'
crates_in_place "$control/tree"

plant 'pub(crate) static PLANTED: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);'
expect_failure 'use of a disallowed type `core::sync::atomic::AtomicU32`' \
    types_in_place "$control/tree" "$control/target"
plant 'pub(crate) type Planted = core::cell::UnsafeCell<u32>;'
expect_failure 'use of a disallowed type `core::cell::UnsafeCell`' \
    types_in_place "$control/tree" "$control/target"
plant 'pub(crate) fn planted() { core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst); }'
expect_failure 'use of a disallowed method `core::sync::atomic::fence`' \
    types_in_place "$control/tree" "$control/target"

printf '\nfences: good\n'
