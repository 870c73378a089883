#!/usr/bin/env bash
# ci/arm64.sh: compiles the library with its KMDF backend for aarch64-pc-windows-msvc, against the stand-in of
# cross/ and the genuine wdk-macros, with core and alloc built from source by Debian's compiler.
# Shown: the code type-checks with warnings as errors, its layout assertions hold for that target, and every
# object that comes out is ARM64 code without calls of helper functions for atomics. Not shown: that it links
# with a WDK, and that it runs; the simulator and the tests are for x86-64.
# Shows that an assertion which fails on ARM64 alone, and an object of another machine, are found.
# Needs rustup, a C linker, apt-get and dpkg-deb. Exit: 0 good, 1 does not compile, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly target=aarch64-pc-windows-msvc
toolchain=$root/target/cross-toolchain

# build TREE TARGET FEATURES: the backend and the probe of the stand-in of TREE.
build() {
    # wdk-macros keeps the prototypes it has read and never reads them again.
    if [ -d "$2" ]; then
        find "$2" -name cached_function_info_map.json -delete
    fi
    RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg wdk_standin -Dwarnings" \
        cargo build --manifest-path "$1/cross/Cargo.toml" --target-dir "$2" --locked --quiet \
        -Zbuild-std=core,alloc --target "$target" -p backend -p probe --features "$3"
}

# objects FOLDER: every object of the libraries in FOLDER is ARM64 code that calls no helper for atomics.
objects() {
    local library object count=0
    for library in "$1"/lib{bottomhalf,spin,intrusive_collections,probe}-*.rlib; do
        rm -rf "$temporary/objects"
        mkdir "$temporary/objects"
        (cd "$temporary/objects" && ar x "$library") || return 1
        for object in "$temporary/objects"/*.o; do
            [ -e "$object" ] || continue
            # The first two bytes of an object of Windows are its machine, 0xAA64.
            if [ "$(od -An -tx1 -N2 "$object")" != ' 64 aa' ]; then
                printf '%s: %s is no ARM64 object\n' "$(basename "$library")" "$(basename "$object")"
                return 1
            fi
            if grep -aqE '__aarch64_(cas|swp|ld)|__atomic_|__sync_' "$object"; then
                printf '%s: %s calls a helper for atomics\n' "$(basename "$library")" "$(basename "$object")"
                return 1
            fi
            count=$((count + 1))
        done
    done
    [ "$count" -gt 0 ] || { printf 'no object was made\n' && return 1; }
    printf '%s objects, all ARM64\n' "$count"
}

step "fetch"
bash ci/cross-toolchain.sh "$toolchain"
fetch cross/Cargo.toml

step "compile for $target, with warnings as errors"
started=$SECONDS
for features in "" alloc; do
    build "$root" "$root/cross/target/arm64" "$features"
done
objects "$root/cross/target/arm64/$target/debug/deps"
printf 'in %s s\n' "$((SECONDS - started))"

step "negative controls"
control_tree
printf '\nconst _: () = assert!(!cfg!(target_arch = "aarch64"), "planted");\n' >>"$control/tree/src/lib.rs"
expect_failure 'evaluation panicked: planted' build "$control/tree" "$control/target" alloc
mkdir -p "$temporary/host"
printf 'long planted;\n' | gcc -xc -c - -o "$temporary/planted.o"
ar rc "$temporary/host/libprobe-0.rlib" "$temporary/planted.o"
ln "$temporary/host/libprobe-0.rlib" "$temporary/host/libbottomhalf-0.rlib"
ln "$temporary/host/libprobe-0.rlib" "$temporary/host/libspin-0.rlib"
ln "$temporary/host/libprobe-0.rlib" "$temporary/host/libintrusive_collections-0.rlib"
expect_failure 'is no ARM64 object' objects "$temporary/host"

printf '\narm64: good; compiled, not run\n'
