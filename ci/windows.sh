#!/usr/bin/env bash
# ci/windows.sh: compiles the library with its KMDF backend for Windows on x86-64 and on ARM64, against the
# stand-in of cross/ and the genuine wdk-macros, with core and alloc built from source by Debian's compiler.
# Shown: the code type-checks with warnings as errors, its layout assertions hold for these targets, and every
# object that comes out is code of the target that calls no helper functions for atomics. Not shown: that it
# links with a WDK, and that it runs. The simulator and the tests are for x86-64, so on ARM64 nothing is run.
# Shows that an assertion which fails on ARM64 alone, and an object of another machine, are found.
# Needs rustup, a C linker, apt-get and dpkg-deb. Exit: 0 good, 1 does not compile, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
toolchain=$root/target/cross-toolchain

# The first two bytes of an object of Windows are its machine: 0x8664 and 0xAA64.
declare -rA machine=([x86_64]=' 64 86' [aarch64]=' 64 aa')

# build TREE TARGET ARCHITECTURE FEATURES: the backend and the probe of the stand-in of TREE.
build() {
    # wdk-macros keeps the prototypes it has read and never reads them again.
    if [ -d "$2" ]; then
        find "$2" -name cached_function_info_map.json -delete
    fi
    RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Dwarnings \
        cargo build --manifest-path "$1/cross/Cargo.toml" --target-dir "$2" --locked --quiet \
        -Zbuild-std=core,alloc --target "$3-pc-windows-msvc" -p backend -p probe --features "$4"
}

# objects FOLDER ARCHITECTURE: every object of our libraries in FOLDER is code of it, and calls no helper for
# atomics.
objects() {
    local library object count=0
    for library in "$1"/lib{bottomhalf,spin,intrusive_collections,probe}-*.rlib; do
        rm -rf "$temporary/objects"
        mkdir "$temporary/objects"
        (cd "$temporary/objects" && ar x "$library") || return 1
        for object in "$temporary/objects"/*.o; do
            [ -e "$object" ] || continue
            if [ "$(od -An -tx1 -N2 "$object")" != "${machine[$2]}" ]; then
                printf '%s: %s is no object of %s\n' "$(basename "$library")" "$(basename "$object")" "$2"
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
    printf '%s objects of %s\n' "$count" "$2"
}

step "fetch"
bash ci/cross-toolchain.sh "$toolchain"
fetch cross/Cargo.toml

for architecture in x86_64 aarch64; do
    step "compile for $architecture-pc-windows-msvc, with warnings as errors"
    built=$root/cross/target/windows
    # What other versions of the sources have left is not looked at.
    rm -f "$built/$architecture-pc-windows-msvc/debug/deps"/lib{bottomhalf,probe}-*.rlib
    for features in "" alloc; do
        build "$root" "$built" "$architecture" "$features"
    done
    objects "$built/$architecture-pc-windows-msvc/debug/deps" "$architecture"
done

step "negative controls"
control_tree
printf '\nconst _: () = assert!(!cfg!(target_arch = "aarch64"), "planted");\n' >>"$control/tree/src/lib.rs"
expect_failure 'evaluation panicked: planted' build "$control/tree" "$control/target" aarch64 alloc
mkdir "$temporary/host"
printf 'long planted;\n' | gcc -xc -c - -o "$temporary/planted.o"
for crate in bottomhalf spin intrusive_collections probe; do
    ar rc "$temporary/host/lib$crate-0.rlib" "$temporary/planted.o"
done
expect_failure 'is no object of aarch64' objects "$temporary/host" aarch64

printf '\nwindows: good; compiled, not run\n'
