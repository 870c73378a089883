#!/usr/bin/env bash
# capi/install.sh --prefix DIR [--target host|windows] [--arch x86_64|aarch64] [--kmdf-minor N] [--hz N]
#                 [-- CARGO-ARGUMENTS]
# Builds the C library and installs it with its headers, its CMake config and its MSBuild property sheet:
#
#   DIR/include/bottomhalf-c             linux/*.h, bottomhalf.h; a folder of its own, since /usr/include has
#                                        a linux/ too
#   DIR/include/bottomhalf-c-host        ntddk.h, wdf.h, kmdf_mock.h, for the host
#   DIR/lib/libbottomhalf_c.a            the host's library, over the simulated KMDF
#   DIR/lib/windows/x64/kmdf-1.33/bottomhalf_c.lib   a driver's, for each KMDF minor version that was installed
#   DIR/lib/cmake/bottomhalf-c           find_package(bottomhalf-c): bottomhalf::bottomhalf-c
#   DIR/msbuild/bottomhalf-c.props       the property sheet
#
# --target windows needs a WDK, rustup's target x86_64-pc-windows-msvc or aarch64-pc-windows-msvc, and, on
# Windows, a bash such as Git's. Installs for several targets and minor versions share a prefix.
# Needs rustup and a C linker.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix='' target=host architecture=x86_64 minor=33 hz=250

usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
    -h | --help)
        usage
        exit 0
        ;;
    --) break ;;
    --prefix | --target | --arch | --kmdf-minor | --hz)
        [ $# -gt 0 ] || fail "$option needs a value"
        case $option in
        --prefix) prefix=$1 ;;
        --target) target=$1 ;;
        --arch) architecture=$1 ;;
        --kmdf-minor) minor=$1 ;;
        --hz) hz=$1 ;;
        esac
        shift
        ;;
    *) fail "$option is no option: see --help" ;;
    esac
done
[ -n "$prefix" ] || fail "say where to install: --prefix DIR"
case $minor in 27 | 28 | 29 | 30 | 31 | 32 | 33) ;; *) fail "--kmdf-minor is $minor, but the library fits KMDF 1.27 to 1.33" ;; esac
case $architecture in
x86_64) platform=x64 ;;
aarch64) platform=ARM64 ;;
*) fail "--arch is x86_64 or aarch64" ;;
esac
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)
export BOTTOMHALF_KMDF_MINOR=$minor BOTTOMHALF_HZ=$hz

# build_host ARGUMENTS...: leaves the library in $built. An older one goes first, for cargo may be told, by its
# arguments or its configuration, to build elsewhere.
build_host() {
    built=$root/target/install/release/libbottomhalf_c.a
    rm -f "$built"
    cargo build --manifest-path "$root/Cargo.toml" --target-dir "$root/target/install" --release \
        --package bottomhalf-c "$@"
    installed=lib/libbottomhalf_c.a
}

# build_windows ARGUMENTS...: wdk-build reads the KMDF version off the workspace whose lock file lies above the
# build's output, so each version has a workspace of its own, of one package that is the library again.
build_windows() {
    local folder=$root/target/install/kmdf-1.$minor triple=$architecture-pc-windows-msvc
    mkdir -p "$folder"
    cp "$root/Cargo.lock" "$folder/Cargo.lock"
    printf '//! The C library for drivers of one KMDF version.\n#![no_std]\nextern crate bottomhalf_c;\n' >"$folder/lib.rs"
    cat >"$folder/Cargo.toml" <<TOML
[workspace]
[workspace.metadata.wdk.driver-model]
driver-type = "KMDF"
kmdf-version-major = 1
target-kmdf-version-minor = $minor

[package]
name = "bottomhalf-c-driver"
version = "0.0.0"
edition = "2024"
publish = false

[lib]
path = "lib.rs"
crate-type = ["staticlib"]

[dependencies]
bottomhalf-c = { path = "../../../capi", default-features = false, features = ["kmdf"] }

[profile.release]
panic = "abort"
lto = "fat"
TOML
    built=$folder/target/$triple/release/bottomhalf_c_driver.lib
    rm -f "$built"
    CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS=${CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS:--Ctarget-feature=+crt-static} \
        CARGO_TARGET_AARCH64_PC_WINDOWS_MSVC_RUSTFLAGS=${CARGO_TARGET_AARCH64_PC_WINDOWS_MSVC_RUSTFLAGS:--Ctarget-feature=+crt-static} \
        cargo build --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target" --release --target "$triple" "$@"
    installed=lib/windows/$platform/kmdf-1.$minor/bottomhalf_c.lib
}

# put FILE WHERE: a file, by its name, into a folder of the prefix.
put() {
    mkdir -p "$prefix/$2"
    cp "$1" "$prefix/$2/"
}

case $target in
host) build_host "$@" ;;
windows) build_windows "$@" ;;
*) fail "--target is host or windows" ;;
esac
[ -s "$built" ] || fail "cargo has made no $built"
mkdir -p "$prefix/$(dirname "$installed")" "$prefix/include/bottomhalf-c"
cp "$built" "$prefix/$installed"

cp -R "$root/include/." "$prefix/include/bottomhalf-c/"
if [ "$target" = host ]; then
    for header in "$root"/capi/host/include/*.h; do
        put "$header" include/bottomhalf-c-host
    done
fi
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
mkdir -p "$prefix/lib/cmake/bottomhalf-c"
for file in config config-version; do
    sed -e "s/@VERSION@/$version/g" "$root/capi/cmake/bottomhalf-c-$file.cmake.in" \
        >"$prefix/lib/cmake/bottomhalf-c/bottomhalf-c-$file.cmake"
done
# What the host's library was built with; a driver's has its KMDF version in its folder's name.
if [ "$target" = host ]; then
    printf 'set(_bottomhalf_host_minor %s)\nset(_bottomhalf_host_hz %s)\n' "$minor" "$hz" \
        >"$prefix/lib/cmake/bottomhalf-c/bottomhalf-c-host.cmake"
else
    printf 'set(_bottomhalf_hz %s)\n' "$hz" >"$prefix/lib/windows/$platform/kmdf-1.$minor/bottomhalf-c-hz.cmake"
    printf '<?xml version="1.0" encoding="utf-8"?>\n<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003">\n  <PropertyGroup>\n    <BottomhalfHz>%s</BottomhalfHz>\n  </PropertyGroup>\n</Project>\n' \
        "$hz" >"$prefix/lib/windows/$platform/kmdf-1.$minor/bottomhalf-c-hz.props"
fi
put "$root/capi/msbuild/bottomhalf-c.props" msbuild
for file in LICENSE-MIT LICENSE-APACHE shim-api.md; do
    put "$root/$file" share/doc/bottomhalf-c
done
printf 'installed %s, HZ %s, KMDF 1.%s\n' "$prefix/$installed" "$hz" "$minor"
