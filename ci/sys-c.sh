#!/usr/bin/env bash
# ci/sys-c.sh: the sample driver of examples/kmdf-c as an image for Windows: compiled by clang against the stand-ins
# of cross/include for the WDK's headers, linked by the linker of the Rust toolchain with the driver's build of
# bottomhalf-c, inspected, and run in the loader, on the simulation under several seeds and on the live engine. It
# has to keep the promises that the sample in Rust checks, by the same names and in the same order.
# Evaluates the project with a stand-in for Visual C++'s targets.
# Not shown: that the driver links with a WDK, that MSBuild builds it, that the INF is good, and that Windows loads it.
# Shows that a wrong table index, struct offset and calling convention of the stand-in, a promise that is not
# kept, an index that mock/layout.tsv does not have, a promise that is left out and a project for another KMDF
# minor version are found.
# Needs rustup, apt-get and dpkg-deb; installs clang, mono-xbuild and python3-pefile.
# Exit: 0 good, 1 something is not right, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
toolchain=$root/target/cross-toolchain
work=$root/target/sys-c
libraries=$work/libraries
loader=$root/target/debug/kmdf-loader
readonly stand_ins=(wdk wdk-sys)
readonly sources=(check driver report)
# C has no closures.
readonly rusts_alone=closure_runs

# packages NAME...: installs those of Debian that are missing.
packages() {
    local name missing=()
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if ! { apt-get -o DPkg::Lock::Timeout=600 update && DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"; } \
        >"$temporary/apt.log" 2>&1; then
        cat "$temporary/apt.log"
        printf '%s: COULD NOT FETCH %s; nothing is known about the code\n' "$(basename "$0")" "${missing[*]}" >&2
        exit "$CANNOT_FETCH"
    fi
}

# import_library NAME MODULE FUNCTION...: what names a module and its functions to the linker.
import_library() {
    printf 'LIBRARY %s\nEXPORTS\n' "$2" >"$libraries/$1.def"
    printf '%s\n' "${@:3}" >>"$libraries/$1.def"
    "$lld" -flavor link /lib "/def:$libraries/$1.def" "/out:$libraries/$1.lib" /machine:x64
}

# copy_stand_in: without inheritance in the manifests: cargo would look for their workspace in the root's.
copy_stand_in() {
    local crate
    rm -rf "$work/stand-in"
    mkdir -p "$work/stand-in/mock/src" "$work/stand-in/cross"
    cp -R mock/src/abi "$work/stand-in/mock/src/"
    for crate in "${stand_ins[@]}"; do
        cp -R "cross/$crate" "$work/stand-in/cross/"
        sed -i -e 's/^edition\.workspace.*/edition = "2024"/' -e '/\.workspace = true$/d' \
            -e '/^\[lints\]$/,$d' "$work/stand-in/cross/$crate/Cargo.toml"
    done
}

# static_libraries: the driver's build of bottomhalf-c, installed, and what a driver gets from WdfDriverEntry.lib.
static_libraries() {
    local crate patched=()
    for crate in "${stand_ins[@]}"; do
        patched+=(--config "patch.crates-io.$crate.path='$work/stand-in/cross/$crate'")
    done
    # wdk-macros keeps the prototypes it has read and never reads them again.
    for crate in "$work/target" target/install; do
        [ ! -d "$crate" ] || find "$crate" -name cached_function_info_map.json -delete
    done
    export RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS='-Ctarget-feature=+crt-static -Dwarnings'
    bash capi/install.sh --prefix "$work/prefix" --target windows --kmdf-minor 33 -- --quiet --offline \
        -Zbuild-std=core,alloc "${patched[@]}"
    cargo rustc --manifest-path cross/Cargo.toml --target-dir "$work/target" --release --offline --locked --quiet \
        -p wdf-driver-entry --lib --crate-type staticlib -Zbuild-std=core,alloc --target x86_64-pc-windows-msvc
    unset RUSTC RUSTC_BOOTSTRAP CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS
    cp "$work/target/x86_64-pc-windows-msvc/release/wdf_driver_entry.lib" "$libraries/WdfDriverEntry.lib"
}

# build TREE: the image of the driver in a tree with examples/kmdf-c, cross/include and capi/host/include.
build() {
    local name objects=()
    for name in "${sources[@]}"; do
        objects+=("$work/$name.obj")
        clang --target=x86_64-pc-windows-msvc -std=c17 -O2 -g -gcodeview -Wall -Wextra -Werror -ffreestanding \
            -nostdlibinc -fno-stack-protector -DKMDF_VERSION_MAJOR=1 -DKMDF_VERSION_MINOR=33 \
            -I"$1/cross/include" -I"$1/capi/host/include" -I"$work/prefix/include/bottomhalf-c" \
            -c "$1/examples/kmdf-c/$name.c" -o "$work/$name.obj" || return 1
    done
    "$lld" -flavor link /nologo /driver /subsystem:native /entry:FxDriverEntry /nodefaultlib /nxcompat /dynamicbase \
        /opt:ref,icf /integritycheck /manifest:no /release /debug "/out:$work/kmdf_c.sys" \
        "${objects[@]}" "$work/prefix/lib/windows/x64/kmdf-1.33/bottomhalf_c.lib" \
        "$libraries"/{WdfDriverEntry,WdfLdr,ntoskrnl}.lib
}

# promises: the names that the sample in Rust checks, in order.
promises() {
    {
        sed -n 's/^    ("\([a-z_]*\)", [a-z_]*),$/\1/p' "$1"
        sed -n 's/.*report\.add("\(removal[a-z_]*\)".*/\1/p' "$1"
    } | grep -vx "$rusts_alone"
}

# passes PROMISES OPTION...: the driver runs in the loader, and keeps these promises.
passes() {
    local promises=$1 log=$temporary/run.log status=0
    shift
    "$loader" "$@" "$work/kmdf_c.sys" >"$log" 2>&1 || status=$?
    if [ "$status" != 0 ] || ! diff <(sed 's/^/PASS /' "$promises") <(grep -E '^(PASS|FAIL) ' "$log") ||
        ! grep -qxF "$(wc -l <"$promises") passed, 0 failed" "$log"; then
        grep -vE '^bottomhalf BH' "$log" || true
        printf 'kmdf-loader %s: status %s, or not the promises\n' "$*" "$status"
        return 1
    fi
    printf 'kmdf-loader %s: %s\n' "$*" "$(grep -xE '[0-9]+ passed, 0 failed' "$log")"
}

# indices HEADER: each index of the header is that of mock/layout.tsv.
indices() {
    local name index
    [ "$(grep -cE '^    Wdf[A-Za-z]+TableIndex = [0-9]+,?$' "$1")" -ge 6 ] || fail "the indices of $1 are not seen"
    while read -r name index; do
        grep -qxF "value	_WDFFUNCENUM::$name	$index" mock/layout.tsv ||
            { printf '%s is not %s in mock/layout.tsv\n' "$name" "$index" && return 1; }
    done < <(sed -nE 's/^    (Wdf[A-Za-z]+TableIndex) = ([0-9]+),?$/\1 \2/p' "$1")
}

# tree: a copy of what a driver in C is built from.
tree() {
    rm -rf "$temporary/tree"
    mkdir -p "$temporary/tree"
    cp -R --parents examples/kmdf-c cross/include capi/host/include "$temporary/tree"
}

# project FILE: what the project of MSBuild compiles is what is compiled here, for the library that is installed.
project() {
    local file log=$temporary/project.log
    mkdir -p "$temporary/vc"
    for file in Microsoft.Cpp.Default.props Microsoft.Cpp.props; do
        printf '<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003" />\n' >"$temporary/vc/$file"
    done
    cat >"$temporary/vc/Microsoft.Cpp.targets" <<'XML'
<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <Target Name="PrepareForBuild" />
  <Target Name="ClCompile">
    <Message Importance="high" Text="$(TargetName).sys: @(ClCompile) @(Inf) $(BottomhalfLibrary)" />
  </Target>
  <Target Name="Build" DependsOnTargets="PrepareForBuild;ClCompile" />
</Project>
XML
    if ! xbuild /nologo "/p:VCTargetsPath=$temporary/vc" "/p:BottomhalfInstall=$work/prefix/" "$1" >"$log" 2>&1 ||
        ! grep -F "kmdf_c.sys: $(printf '%s.c;' "${sources[@]}" | sed 's/;$//') kmdf_c.inx " "$log"; then
        cat "$log"
        return 1
    fi
}

# spoiled SED FILE: the driver, built with one thing changed, does not pass.
spoiled() {
    tree
    sed -i "$1" "$temporary/tree/$2"
    ! cmp -s "$temporary/tree/$2" "$2" || fail "nothing is spoiled by $1"
    build "$temporary/tree" || fail "the spoiled driver is to be built"
    passes "$temporary/promises" --seed 1
}

step "fetch"
packages clang mono-xbuild python3-pefile
bash ci/cross-toolchain.sh "$toolchain"
fetch Cargo.toml
fetch cross/Cargo.toml
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
cargo build --offline --locked --quiet --package kmdf-loader

step "build and link"
mkdir -p "$libraries"
import_library ntoskrnl ntoskrnl.exe DbgPrint KeDelayExecutionThread KeStallExecutionProcessor KeGetCurrentThread \
    RtlCopyUnicodeString __chkstk _vsnprintf memcmp memcpy memmove memset strlen
import_library WdfLdr WDFLDR.SYS WdfVersionBind WdfVersionUnbind
copy_stand_in
static_libraries
indices cross/include/wdf.h
build .
printf '%s bytes\n' "$(stat -c %s "$work/kmdf_c.sys")"

step "the project"
project examples/kmdf-c/kmdf-c.vcxproj

step "inspect"
/usr/bin/python3 ci/driver-image.py check "$work/kmdf_c.sys"

step "run"
promises examples/kmdf-rust/src/check.rs >"$temporary/promises"
[ "$(wc -l <"$temporary/promises")" -ge 12 ] || fail "the promises of the sample in Rust are not seen"
for seed in 1 2 3; do
    passes "$temporary/promises" --engine sim --seed "$seed" --cpus 4
done
passes "$temporary/promises" --engine sim --seed 1 --cpus 1
passes "$temporary/promises" --engine sim --seed 1 --cpus 2 --elsewhere
passes "$temporary/promises" --engine live --cpus 4

step "negative controls"
sed 's/DeviceCreateTableIndex = 75/DeviceCreateTableIndex = 76/' cross/include/wdf.h >"$temporary/wdf.h"
expect_failure 'WdfDeviceCreateTableIndex is not 76' indices "$temporary/wdf.h"
tree
sed -i 's:<KMDF_VERSION_MINOR>33<:<KMDF_VERSION_MINOR>31<:' "$temporary/tree/examples/kmdf-c/kmdf-c.vcxproj"
expect_failure 'The driver is for KMDF 1.31 on x64' project "$temporary/tree/examples/kmdf-c/kmdf-c.vcxproj"
sed '/^work_once$/d' "$temporary/promises" >"$temporary/fewer"
expect_failure '> PASS work_once' passes "$temporary/fewer" --seed 1
expect_failure 'or not the promises' spoiled 's/DeviceCreateTableIndex = 75/DeviceCreateTableIndex = 76/' cross/include/wdf.h
expect_failure 'or not the promises' \
    spoiled 's/^    PFN_WDF_DRIVER_UNLOAD EvtDriverUnload;/    PVOID Moved;\n&/' capi/host/include/wdf.h
expect_failure 'or not the promises' \
    spoiled 's/NTSTATUS (\*)(PVOID, PDRIVER_OBJECT/NTSTATUS (__attribute__((sysv_abi)) *)(PVOID, PDRIVER_OBJECT/' cross/include/wdf.h
expect_failure 'FAIL destroy_drains not all had run' \
    spoiled '/"not all had run"/s/MANY/MANY + 1/' examples/kmdf-c/check.c
build .

printf '\nsys-c: good; run in the loader, not on Windows\n'
