#!/usr/bin/env bash
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
toolchain=$root/target/cross-toolchain
work=$root/target/sys
libraries=$work/libraries
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

bash ci/cross-toolchain.sh "$toolchain"
mkdir -p "$libraries"
import_library() {
    printf 'LIBRARY %s\nEXPORTS\n' "$2" >"$libraries/$1.def"
    printf '%s\n' "${@:3}" >>"$libraries/$1.def"
    "$lld" -flavor link /lib "/def:$libraries/$1.def" "/out:$libraries/$1.lib" /machine:x64
}
import_library ntoskrnl ntoskrnl.exe KeGetCurrentThread RtlCopyUnicodeString __chkstk memcpy memmove memset memcmp
import_library WdfLdr WDFLDR.SYS WdfVersionBind WdfVersionUnbind
cross() { RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER=$lld WDK_STANDIN_LIBRARIES=$libraries \
   CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS='-Ctarget-feature=+crt-static -Dwarnings' cargo "$@" ; }
cross rustc --manifest-path cross/Cargo.toml --target-dir $work/target --release --offline -p wdf-driver-entry --lib --crate-type staticlib -Zbuild-std=core,alloc --target x86_64-pc-windows-msvc
find $work/target -name '*driver_entry.lib' 
cp $work/target/x86_64-pc-windows-msvc/release/wdf_driver_entry.lib $libraries/WdfDriverEntry.lib
rm -rf $work/src; cp -R examples/kmdf-rust/{Cargo.toml,build.rs,src} $work/
cp cross/Cargo.lock $work/Cargo.lock
stand_in=$work/stand-in
rm -rf "$stand_in"
mkdir -p "$stand_in/mock/src" "$stand_in/cross"
cp -R mock/src/abi "$stand_in/mock/src/"
patched=()
for crate in wdk wdk-sys wdk-build wdk-panic wdk-alloc; do
    cp -R "cross/$crate" "$stand_in/cross/"
    sed -i -e 's/^edition\.workspace.*/edition = "2024"/' -e '/\.workspace = true$/d' \
        -e '/^\[lints\]$/,$d' "$stand_in/cross/$crate/Cargo.toml"
    patched+=(--config "patch.crates-io.$crate.path='$stand_in/cross/$crate'")
done
cross build --manifest-path $work/Cargo.toml --target-dir $work/target --release --offline -Zbuild-std=core,alloc --target x86_64-pc-windows-msvc "${patched[@]}"
