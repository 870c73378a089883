#!/usr/bin/env bash
# ci/capi.sh: the C library as its users get it. Builds the host's library, installs it into a temporary prefix,
# and builds and runs a small driver in C against that by CMake, on the simulated machine and on the live one.
# Compares the symbols that the library defines with the prototypes of the headers, as gcc reads them, both ways,
# and looks for names without the prefix. Builds a driver's library for x86_64-pc-windows-msvc against the
# stand-in of cross/, links a driver in C with it, and asks what a driver for another KMDF minor version is told:
# by the linker, by find_package, by the MSBuild property sheet (run by xbuild) and by the build script. Runs a
# panic of a driver's library, compiled for this host, into a KeBugCheckEx of its own.
# Not shown: that the library links with a WDK, and that a driver runs on Windows.
# Shows that a missing symbol, a name without the prefix, a missing prototype and a wrong minor version are found.
# Needs rustup, gcc, apt-get and dpkg-deb. Exit: 0 good, 1 something is not right, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
toolchain=$root/target/cross-toolchain
prefix=$temporary/prefix
host_library=$prefix/lib/libbottomhalf_c.a
drivers_library=$prefix/lib/windows/x64/kmdf-1.33/bottomhalf_c.lib

# Names that are Rust's or of a crate below ours: mangled ones, the compiler's runtime, personality references,
# and the assembly of corosensei. A driver's library has constants of the compiler, and of the stand-in the stubs
# of the functions that it imports.
readonly rusts='_ZN.*|_R.*|__.*|DW\.ref\..*|anon\..*|stack_(call_trampoline|init_trampoline|init_trampoline_return)'
readonly of_the_stand_in='\.idata.*|\.text|_fltused|.ntoskrnl_NULL_THUNK_DATA|(Ke|Kf|Ex|Ps|Obf?|Zw|Rtl|Dbg)[A-Z].*'

# packages NAME...: installs those of Debian that are missing.
packages() {
    local name missing=()
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if ! { apt-get -o DPkg::Lock::Timeout=600 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends \
            "${missing[@]}"; } >"$temporary/apt.log" 2>&1; then
        cat "$temporary/apt.log"
        printf '%s: COULD NOT FETCH %s; nothing is known about the code\n' "$(basename "$0")" "${missing[*]}" >&2
        exit "$CANNOT_FETCH"
    fi
}

# defined LIBRARY: the names of the global symbols that it defines. Members that are no objects are left out.
defined() { nm --defined-only --extern-only "$1" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u; }

# prototypes HEADERS HOSTS: the names of the functions that the headers in these two folders declare, by gcc.
prototypes() {
    local header
    find "$1" -name '*.h' -printf '#include <%P>\n' >"$temporary/all.c"
    find "$2" -name '*.h' -printf '#include <%P>\n' >>"$temporary/all.c"
    gcc -std=c11 -fsyntax-only -I"$1" -I"$2" -aux-info "$temporary/aux" "$temporary/all.c" || return 1
    header=$(printf '%s|%s' "$1" "$2")
    grep -E "^/\* ($header)/[^:]*:[0-9]+:[A-Z]C \*/ extern" "$temporary/aux" |
        sed -E 's:^/\*[^*]*\*/ ::' | sed -E 's/^[^(]*[ *]([A-Za-z0-9_]+) \(.*$/\1/' | sort -u
}

# same_symbols LIBRARY PROTOTYPES OTHERS: every prototype is defined, every name of ours has its prototype, and
# there is no name that is not in OTHERS, an extended regular expression.
same_symbols() {
    local undefined stray
    defined "$1" >"$temporary/defined"
    undefined=$(comm -13 "$temporary/defined" "$2")
    [ -z "$undefined" ] || { printf 'declared, but not defined: %s\n' "${undefined//$'\n'/ }" && return 1; }
    stray=$(comm -23 "$temporary/defined" "$2" | grep -vxE "$3") || true
    [ -z "$stray" ] || { printf 'defined, but not declared: %s\n' "${stray//$'\n'/ }" && return 1; }
    printf '%s prototypes, %s symbols\n' "$(wc -l <"$2")" "$(wc -l <"$temporary/defined")"
}

# layout TABLE: what mock/layout.tsv says of the WDK's types holds for the host's headers, but for the function
# table, the two structures that these leave incomplete, and the I/O queues, which they do not have.
layout() {
    grep -vE '_WDFFUNCENUM|_WDF_DRIVER_GLOBALS|_DRIVER_OBJECT|_WDF_IO_QUEUE|_WDF_TRI_STATE|^kind' "$1" | awk -F '\t' '
        BEGIN { print "#include <kmdf_mock.h>" }
        function type(name) { return (name ~ /LARGE_INTEGER/ ? "union " : "struct ") name }
        function assert(left, right) { printf "_Static_assert(%s == %s, \"%s is %s\");\n", left, right, left, right }
        $1 == "size" { assert("sizeof(" type($2) ")", $3) }
        $1 == "align" { assert("_Alignof(" type($2) ")", $3) }
        $1 == "offset" { split($2, part, "."); assert("offsetof(" type(part[1]) ", " part[2] ")", $3) }
        $1 == "value" { sub(/.*::/, "", $2); assert($2, $3) }' >"$temporary/layout.c"
    gcc -std=c11 -fsyntax-only -Icapi/host/include "$temporary/layout.c" || return 1
    printf '%s sizes, offsets and values\n' "$(grep -c _Static_assert "$temporary/layout.c")"
}

# compiles COMPILER...: all headers, in both orders, with warnings as errors.
compiles() {
    local first second
    for first in bottomhalf.h kmdf_mock.h; do
        for second in kmdf_mock.h linux/workqueue.h; do
            printf '#include <%s>\n#include <%s>\n' "$first" "$second" >"$temporary/order.c"
            "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude -Icapi/host/include \
                "$temporary/order.c" || return 1
        done
    done
}

# consumer BUILD ARGUMENTS...: configures, builds and runs the driver of capi/tests/consumer.
consumer() {
    local build=$1
    shift
    cmake -S capi/tests/consumer -B "$build" -DCMAKE_PREFIX_PATH="$prefix" "$@" &&
        cmake --build "$build" && (cd "$build" && ctest --output-on-failure)
}

# found MINOR: find_package for Windows, without a compiler.
found() {
    mkdir -p "$temporary/windows"
    cat >"$temporary/windows/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.13)
project(driver NONE)
find_package(bottomhalf-c REQUIRED)
get_target_property(location bottomhalf::bottomhalf-c IMPORTED_LOCATION)
message(STATUS "found ${location}")
CMAKE
    rm -rf "$temporary/windows/build"
    cmake -S "$temporary/windows" -B "$temporary/windows/build" -DCMAKE_SYSTEM_NAME=Windows \
        -DCMAKE_SYSTEM_PROCESSOR=AMD64 -DCMAKE_PREFIX_PATH="$prefix" -DBOTTOMHALF_KMDF_MINOR="$1" 2>&1 |
        tr '\n' ' ' | sed -E 's/ +/ /g; s/$/\n/'
    return "${PIPESTATUS[0]}"
}

# property_sheet MINOR: a project with the sheet, built by xbuild; what is compiled is a message.
property_sheet() {
    cat >"$temporary/driver.proj" <<XML
<Project DefaultTargets="Build" xmlns="http://schemas.microsoft.com/developer/msbuild/2003">
  <PropertyGroup><Platform>x64</Platform></PropertyGroup>
  <Import Project="$prefix/msbuild/bottomhalf-c.props" />
  <Target Name="PrepareForBuild" />
  <Target Name="ClCompile"><Message Importance="high" Text="compiled for \$(BottomhalfLibrary)" /></Target>
  <Target Name="Build" DependsOnTargets="PrepareForBuild;ClCompile" />
</Project>
XML
    xbuild /nologo "/p:KMDF_VERSION_MINOR=$1" "$temporary/driver.proj"
}

# A copy of the stand-in whose manifests do not inherit: cargo would look for their workspace in the root's.
stand_in=$root/target/control/capi/stand-in
copy_stand_in() {
    local crate
    rm -rf "$stand_in"
    mkdir -p "$stand_in/mock/src" "$stand_in/cross"
    cp -R mock/src/abi "$stand_in/mock/src/"
    for crate in wdk wdk-sys; do
        cp -R "cross/$crate" "$stand_in/cross/"
        sed -i -e 's/^edition\.workspace.*/edition = "2024"/' -e '/\.workspace = true$/d' \
            -e '/^\[lints\]$/,$d' "$stand_in/cross/$crate/Cargo.toml"
    done
}
patched=(--config "patch.crates-io.wdk-sys.path='$stand_in/cross/wdk-sys'"
    --config "patch.crates-io.wdk.path='$stand_in/cross/wdk'")

# drivers_build MINOR: a driver's library, with core built from source.
drivers_build() {
    # wdk-macros keeps the prototypes it has read and never reads them again.
    [ ! -d target/install ] || find target/install -name cached_function_info_map.json -delete
    RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS='-Ctarget-feature=+crt-static -Dwarnings' \
        bash capi/install.sh --prefix "$prefix" --target windows --kmdf-minor "$1" -- --quiet \
        -Zbuild-std=core,alloc "${patched[@]}"
}

# other_minor: the workspace that the install has written for 1.33, built for 1.31.
other_minor() {
    local folder=target/install/kmdf-1.33
    BOTTOMHALF_KMDF_MINOR=31 RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 cargo build --release --quiet \
        --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target" --target x86_64-pc-windows-msvc \
        -Zbuild-std=core,alloc "${patched[@]}"
}

# What the WDK and ntoskrnl have and the stand-in has not.
windows_files() {
    mkdir -p "$temporary/crt"
    printf '#include <stdarg.h>\nint _vsnprintf(char *, __SIZE_TYPE__, const char *, va_list);\n%s\n' \
        'int vsnprintf(char *, __SIZE_TYPE__, const char *, va_list);' >"$temporary/crt/stdio.h"
    printf 'void *memset(void *, int, __SIZE_TYPE__);\nvoid *memcpy(void *, const void *, __SIZE_TYPE__);\n%s\n' \
        '__SIZE_TYPE__ strlen(const char *);' >"$temporary/crt/string.h"
    printf 'LIBRARY ntoskrnl.exe\nEXPORTS\n' >"$temporary/ntoskrnl.def"
    printf '%s\n' KeGetCurrentThread __chkstk _vsnprintf memcpy memmove memset memcmp strlen \
        >>"$temporary/ntoskrnl.def"
    "$lld" -flavor link /lib "/def:$temporary/ntoskrnl.def" "/out:$temporary/ntoskrnl.lib" /machine:x64
    cat >"$temporary/driver.c" <<'C'
#include <bottomhalf.h>
#include <linux/workqueue.h>
/* What WdfDriverEntry.lib has, and the mark that a compiler leaves where a program computes with fractions. */
const void *WdfFunctions_01033;
void *WdfDriverGlobals;
unsigned int WdfFunctionCount = 458;
int _fltused;
static struct bottomhalf_attachment attachment;
static void run(struct work_struct *work) { schedule_work(work); }
static DECLARE_WORK(work, run);
NTSTATUS DriverEntry(WDFDRIVER driver);
NTSTATUS DriverEntry(WDFDRIVER driver)
{
    struct bottomhalf_config config;
    NTSTATUS status;

    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    status = bottomhalf_attach_driver(driver, &config, &attachment);
    if (NT_SUCCESS(status) && alloc_workqueue("driver-%d", 0, 0, 1))
        schedule_work(&work);
    return status;
}
C
}

# drivers_link MINOR: a driver in C for that version, linked with the library for 1.33.
drivers_link() {
    clang --target=x86_64-pc-windows-msvc -std=c17 -O1 -Wall -Wextra -Werror -ffreestanding -nostdlibinc \
        -DKMDF_VERSION_MAJOR=1 "-DKMDF_VERSION_MINOR=$1" -isystem "$temporary/crt" \
        -I"$prefix/include/bottomhalf-c" -Icapi/host/include -c "$temporary/driver.c" \
        -o "$temporary/driver.obj" || return 1
    "$lld" -flavor link /nologo /driver /subsystem:native /entry:DriverEntry /nodefaultlib \
        "/out:$temporary/driver.sys" "$temporary/driver.obj" "$drivers_library" "$temporary/ntoskrnl.lib"
}

# panicking: a driver's library for this host, with a function that panics, and a program around it.
panicking() {
    local folder=$root/target/control/capi/panic
    mkdir -p "$folder"
    cp Cargo.lock "$folder/"
    cat >"$folder/Cargo.toml" <<'TOML'
[workspace]
[package]
name = "planted"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
crate-type = ["staticlib"]
[dependencies]
bottomhalf-c = { path = "../../../../capi", default-features = false, features = ["kmdf"] }
[profile.release]
panic = "abort"
TOML
    cat >"$folder/lib.rs" <<'RUST'
#![no_std]
extern crate bottomhalf_c;
#[unsafe(no_mangle)]
pub extern "C" fn planted(place: usize) -> u8 {
    [70, 80, 90][place]
}
RUST
    cat >"$folder/main.c" <<'C'
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
uint8_t planted(size_t place);
void rust_eh_personality(void) {}
void KeBugCheckEx(uint32_t code, uint64_t file, uint64_t length, uint64_t line, uint64_t column)
{
    printf("bug check 0x%08x: %.*s:%d:%d\n", code, (int)length, (char *)(uintptr_t)file, (int)line, (int)column);
    exit(1);
}
int main(int count, char **arguments)
{
    (void)arguments;
    printf("no bug check: %d\n", planted((size_t)count + 1));
    return 0;
}
C
    [ ! -d "$folder/target" ] || find "$folder/target" -name cached_function_info_map.json -delete
    RUSTFLAGS='--cfg wdk_standin' cargo build --quiet --release --manifest-path "$folder/Cargo.toml" \
        --target-dir "$folder/target" "${patched[@]}"
    gcc "$folder/main.c" "$folder/target/release/libplanted.a" -o "$temporary/planted" \
        -Wl,--unresolved-symbols=ignore-in-object-files
}

step "fetch"
packages cmake make libxml2-utils mono-xbuild clang
fetch Cargo.toml
fetch cross/Cargo.toml
bash ci/cross-toolchain.sh "$toolchain"
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

step "the headers of the host"
layout mock/layout.tsv
compiles gcc -std=c11
compiles clang -std=c17
compiles g++ -x c++ -std=c++17
compiles clang++ -x c++ -std=c++17

step "each feature compiles without a warning"
for features in "" kmdf mock sim kmdf,sim; do
    cargo clippy --offline --locked --quiet --package bottomhalf-c --no-deps --no-default-features \
        --features "$features" -- -D warnings
done

step "the host's library, installed"
bash capi/install.sh --prefix "$prefix" -- --offline --locked --quiet

step "a driver in C against it, by CMake, on both engines"
consumer "$temporary/consumer"

step "a library of another HZ, and a driver that is not told so"
bash capi/install.sh --prefix "$temporary/hz" --hz 1000 -- --offline --locked --quiet
prefix=$temporary/hz consumer "$temporary/consumer-hz" >/dev/null
sed -i 's/_bottomhalf_host_hz 1000/_bottomhalf_host_hz 250/' "$temporary/hz/lib/cmake/bottomhalf-c/bottomhalf-c-host.cmake"
prefix=$temporary/hz expect_failure 'NT_SUCCESS(bottomhalf_attach_driver(driver, &config, &attachment)) does not hold' \
    consumer "$temporary/consumer-250"

step "symbols and prototypes of the host's library"
prototypes "$prefix/include/bottomhalf-c" "$prefix/include/bottomhalf-c-host" >"$temporary/prototypes"
same_symbols "$host_library" "$temporary/prototypes" "$rusts"

step "a driver's library for Windows, against the stand-in"
copy_stand_in
drivers_build 33
grep '^bottomhalf_' "$temporary/prototypes" >"$temporary/drivers-prototypes"
same_symbols "$drivers_library" "$temporary/drivers-prototypes" "$rusts|$of_the_stand_in"

step "a driver in C, linked with it"
windows_files
drivers_link 33
printf '%s bytes\n' "$(stat -c %s "$temporary/driver.sys")"

step "CMake config and property sheet for Windows"
found 33
xmllint --noout "$prefix/msbuild/bottomhalf-c.props" "${drivers_library%/*}/bottomhalf-c-hz.props"
property_sheet 33 | grep -F 'compiled for'

step "a panic is a bug check"
panicking
expect_failure 'bug check 0x42480001: lib.rs:5:5' "$temporary/planted" outside
"$temporary/planted"

step "negative controls: another KMDF minor version"
expect_failure 'undefined symbol: bottomhalf_is_built_for_kmdf_1_31' drivers_link 31
expect_failure 'the driver is for KMDF 1.31 on x64, and bottomhalf-c is installed for: kmdf-1.33' found 31
expect_failure 'The driver is for KMDF 1.31 on x64, and bottomhalf-c is installed for: kmdf-1.33' property_sheet 31
expect_failure 'the driver is for KMDF 1.31, and the host' consumer "$temporary/other" -DBOTTOMHALF_KMDF_MINOR=31
BOTTOMHALF_KMDF_MINOR=26 expect_failure 'but the library fits KMDF 1.27 to 1.33' \
    cargo check --offline --quiet --package bottomhalf-c
expect_failure 'target-kmdf-version-minor in the manifest is 33' other_minor
expect_failure 'cargo has made no' bash capi/install.sh --prefix "$temporary/nothing" -- --help
expect_failure '--kmdf-minor is 26' bash capi/install.sh --prefix "$prefix" --kmdf-minor 26

step "negative controls: symbols, layout, and a run that fails"
sed 's/^offset\t_WDF_DPC_CONFIG.EvtDpcFunc\t8$/offset\t_WDF_DPC_CONFIG.EvtDpcFunc\t4/' mock/layout.tsv >"$temporary/layout.tsv"
expect_failure 'offsetof(struct _WDF_DPC_CONFIG, EvtDpcFunc) is 4' layout "$temporary/layout.tsv"
objcopy --redefine-sym bottomhalf_tasklet_kill=planted "$host_library" "$temporary/renamed.a" 2>/dev/null
expect_failure 'declared, but not defined: bottomhalf_tasklet_kill' \
    same_symbols "$temporary/renamed.a" "$temporary/prototypes" "$rusts"
grep -vx bottomhalf_tasklet_kill "$temporary/prototypes" >"$temporary/fewer"
expect_failure 'defined, but not declared: planted' same_symbols "$temporary/renamed.a" "$temporary/fewer" "$rusts"
expect_failure 'defined, but not declared: bottomhalf_tasklet_kill' \
    same_symbols "$host_library" "$temporary/fewer" "$rusts"
expect_failure "replay: KMDF_MOCK_SEED=0 $temporary/consumer/consumer fails" "$temporary/consumer/consumer" fails

printf '\ncapi: good; a driver is linked, not run\n'
