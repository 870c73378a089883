#!/usr/bin/env bash
# ci/sys.sh: the sample driver of examples/kmdf-rust as an image for Windows: built with core and alloc from source
# against the stand-in of cross/, linked by the linker of the Rust toolchain, inspected, and run in the loader, on
# the simulation under several seeds and on the live engine. Type-checks the driver for ARM64.
# Not shown: that it links with a WDK, and that Windows loads it.
# Shows that each thing that is inspected is found when it is spoiled, that a table index, a struct offset and a
# calling convention of the stand-in that are wrong are found by the run, and what the author of a driver without
# wdk metadata reads.
# Needs rustup, a C linker, apt-get and dpkg-deb; installs python3-pefile.
# Exit: 0 good, 1 something is not right, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
toolchain=$root/target/cross-toolchain
work=$root/target/sys
libraries=$work/libraries
image=$work/kmdf_rust.sys
loader=$root/target/debug/kmdf-loader

# packages NAME...: installs those of Debian that are missing.
packages() {
    if dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -qvx installed ||
        ! dpkg-query -W "$@" >/dev/null 2>&1; then
        if ! { apt-get -o DPkg::Lock::Timeout=600 update && DEBIAN_FRONTEND=noninteractive \
            apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"; } >"$temporary/apt.log" 2>&1; then
            cat "$temporary/apt.log"
            printf '%s: COULD NOT FETCH %s; nothing is known about the code\n' "$(basename "$0")" "$*" >&2
            exit "$CANNOT_FETCH"
        fi
    fi
}

# cross ARCHITECTURE SUBCOMMAND...: cargo for Windows, with Debian's compiler and the libraries of the stand-in.
cross() {
    local triple=$1-pc-windows-msvc subcommand=$2
    shift 2
    # wdk-macros keeps the prototypes it has read and never reads them again.
    [ ! -d "$work/target" ] || find "$work/target" -name cached_function_info_map.json -delete
    RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 WDK_STANDIN_LIBRARIES=$libraries \
        CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER=$lld CARGO_TARGET_AARCH64_PC_WINDOWS_MSVC_LINKER=$lld \
        RUSTFLAGS="-Ctarget-feature=+crt-static -Dwarnings" \
        cargo "$subcommand" --target-dir "$work/target" --release --offline --quiet \
        -Zbuild-std=core,alloc --target "$triple" "$@"
}

# import_library NAME MODULE FUNCTION...: what names a module and its functions to the linker.
import_library() {
    printf 'LIBRARY %s\nEXPORTS\n' "$2" >"$libraries/$1.def"
    printf '%s\n' "${@:3}" >>"$libraries/$1.def"
    "$lld" -flavor link /lib "/def:$libraries/$1.def" "/out:$libraries/$1.lib" /machine:x64
}

# windows_libraries: the libraries of a WDK that a driver is linked with. What wdk-sys declares is not in them, for
# the stand-in's imports need no library.
windows_libraries() {
    mkdir -p "$libraries"
    import_library ntoskrnl ntoskrnl.exe KeGetCurrentThread RtlCopyUnicodeString \
        __chkstk memcmp memcpy memmove memset
    import_library WdfLdr WDFLDR.SYS WdfVersionBind WdfVersionUnbind
    cross x86_64 rustc --manifest-path cross/Cargo.toml --locked -p wdf-driver-entry --lib --crate-type staticlib
    cp "$work/target/x86_64-pc-windows-msvc/release/wdf_driver_entry.lib" "$libraries/WdfDriverEntry.lib"
}

# sample: a copy of the driver, next to the library as the original is, and of the stand-in, whose manifests do not
# inherit: cargo would look for their workspace in the root's.
sample() {
    local crate
    rm -rf "$work/stand-in" "$work/src"
    mkdir -p "$work/stand-in/mock/src" "$work/stand-in/cross"
    cp -R mock/src/abi "$work/stand-in/mock/src/"
    for crate in "${stand_ins[@]}"; do
        cp -R "cross/$crate" "$work/stand-in/cross/"
        sed -i -e 's/^edition\.workspace.*/edition = "2024"/' -e '/\.workspace = true$/d' \
            -e '/^\[lints\]$/,$d' "$work/stand-in/cross/$crate/Cargo.toml"
    done
    cp -R examples/kmdf-rust/{Cargo.toml,build.rs,src} "$work/"
    cp cross/Cargo.lock "$work/Cargo.lock"
}

# drivers SUBCOMMAND ARCHITECTURE ARGUMENTS...: cargo with the copy of the driver.
drivers() {
    local crate patched=() subcommand=$1 architecture=$2
    shift 2
    for crate in "${stand_ins[@]}"; do
        patched+=(--config "patch.crates-io.$crate.path='$work/stand-in/cross/$crate'")
    done
    # cargo says of the workspace of core and alloc that it has no use for the patches.
    cross "$architecture" "$subcommand" --manifest-path "$work/Cargo.toml" "${patched[@]}" "$@" 2> >(grep -vE \
        '^warning: patch .* was not used|^(help| ): *|^      ' >&2)
}

# built: the image.
built() {
    drivers build x86_64 && cp "$work/target/x86_64-pc-windows-msvc/release/kmdf_rust.dll" "$image"
}

# passes FILE OPTION...: the driver runs in the loader, and keeps every promise that it checks.
passes() {
    local file=$1 log=$temporary/run.log status=0
    shift
    "$loader" "$@" "$file" >"$log" 2>&1 || status=$?
    if [ "$status" != 0 ] || grep -q '^FAIL' "$log" || ! grep -qxE '[1-9][0-9]* passed, 0 failed' "$log"; then
        grep -vE '^bottomhalf BH' "$log" || true
        printf 'kmdf-loader %s: status %s, or a promise is not kept\n' "$*" "$status"
        return 1
    fi
    printf 'kmdf-loader %s: %s\n' "$*" "$(grep -xE '[0-9]+ passed, 0 failed' "$log")"
}

# spoiled SED FILE: the driver, built against a stand-in with one thing changed, does not pass.
spoiled() {
    sample
    sed -i "$1" "$work/stand-in/$2"
    ! cmp -s "$work/stand-in/$2" "$2" || { printf 'nothing is spoiled by %s\n' "$1" && return 1; }
    drivers build x86_64 || return 1
    passes "$work/target/x86_64-pc-windows-msvc/release/kmdf_rust.dll" --seed 1
}

readonly stand_ins=(wdk wdk-sys wdk-build wdk-panic wdk-alloc)

step "fetch"
packages python3-pefile
bash ci/cross-toolchain.sh "$toolchain"
fetch Cargo.toml
fetch cross/Cargo.toml
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
cargo build --offline --locked --quiet --package kmdf-loader

step "build and link"
windows_libraries
sample
built
printf '%s bytes\n' "$(stat -c %s "$image")"

step "inspect"
/usr/bin/python3 ci/driver-image.py check "$image"

step "run"
for seed in 1 2 3; do
    passes "$image" --engine sim --seed "$seed" --cpus 4
done
passes "$image" --engine sim --seed 1 --cpus 1
passes "$image" --engine sim --seed 1 --cpus 2 --elsewhere
passes "$image" --engine live --cpus 4

step "type-check for ARM64"
drivers check aarch64

step "negative controls: the image"
/usr/bin/python3 ci/driver-image.py kinds >"$temporary/kinds"
while IFS=$'\t' read -r kind text; do
    /usr/bin/python3 ci/driver-image.py spoil "$kind" "$image" "$temporary/spoiled.sys"
    expect_failure "$text" /usr/bin/python3 ci/driver-image.py check "$temporary/spoiled.sys"
done <"$temporary/kinds"

step "negative controls: the ABI of the stand-in"
expect_failure 'or a promise is not kept' \
    spoiled 's/\(WdfDpcEnqueueTableIndex: Type = \)112;/\1113;/' mock/src/abi/functions.rs
expect_failure 'or a promise is not kept' \
    spoiled '/pub struct _WDF_OBJECT_ATTRIBUTES/,/^}/{/ParentObject/{h;d};/ContextSizeOverride/G}' mock/src/abi/types.rs
expect_failure 'or a promise is not kept' \
    spoiled '/type PFN_WDFTIMERSTART /,/>;/s/extern "C"/extern "sysv64"/' mock/src/abi/functions.rs

step "negative control: a driver without wdk metadata"
sample
printf '//! Empty.\n#![no_std]\n' | tee "$work/stand-in/cross/wdk-sys/src/lib.rs" >"$work/stand-in/cross/wdk/src/lib.rs"
expect_failure 'ntddk, // The driver lacks [package.metadata.wdk.driver-model]' \
    drivers check x86_64 -p bottomhalf
[ "$(grep -c '^error\[' "$temporary/expected-failure.log")" = 1 ] || fail "there is more than one error"

printf '\nsys: good; run in the loader, not on Windows\n'
