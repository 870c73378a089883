#!/usr/bin/env bash
# ci/loader.sh [DRIVER...]: builds the drivers of loader/tests/drivers, each a file in C, as images for Windows
# with clang and rust-lld, and runs them in the loader, on the simulation and on the live engine. The good ones
# run under several seeds too, away from the address they were linked for. The others are wrong on purpose: each
# has to be convicted with the status and the name that its comment says, and a fault with its place in the driver.
# Not shown: that Windows loads them, or says the same.
# Shows that a wrong table index, struct offset and calling convention, and a driver that behaves, are found.
# Needs rustup, a C linker and apt-get, which installs clang.
# Exit: 0 good, 1 a driver does not do what it says, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly drivers=loader/tests/drivers
readonly loader=$root/target/debug/kmdf-loader
built=$temporary/built

install() {
    if command -v clang >/dev/null; then return; fi
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends clang; } >"$temporary/apt.log" 2>&1; then
        cat "$temporary/apt.log"
        printf '%s: COULD NOT FETCH clang; nothing is known about the loader\n' "$(basename "$0")" >&2
        exit "$CANNOT_FETCH"
    fi
}

# link ARGUMENTS...: the linker of the Rust toolchain, as that of Windows.
lld() {
    "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld" -flavor link "$@"
}

# import_library MODULE FUNCTION...: what names a module and its functions to the linker.
import_library() {
    local module=$1
    shift
    printf 'LIBRARY %s\nEXPORTS\n' "$module" >"$built/$module.def"
    printf '%s\n' "$@" >>"$built/$module.def"
    lld /lib "/def:$built/$module.def" "/out:$built/$module.lib" /machine:x64
}

# said FOLDER DRIVER WORD: what the comment of a driver says after a word.
said() { sed -n "s:^/\* $3\: \(.*\) \*/\$:\1:p" "$1/$2.c"; }

# build FOLDER DRIVER: the image.
build() {
    local extra
    read -ra extra <<<"$(said "$1" "$2" link)"
    clang --target=x86_64-pc-windows-msvc -std=c11 -O1 -ffreestanding -fno-stack-protector -Wall -Wextra -Werror \
        -c "$1/$2.c" -o "$built/$2.obj" &&
        lld /driver /subsystem:native /entry:FxDriverEntry /nodefaultlib /dynamicbase /release \
            "${extra[@]}" "/out:$built/$2.sys" "$built/$2.obj" "$built"/*.lib
}

# check FOLDER DRIVER OPTION...: the driver does what its comment says.
check() {
    local folder=$1 driver=$2 expected status=0 want text log=$temporary/run.log options
    shift 2
    expected=$(said "$folder" "$driver" expect)
    [ -n "$expected" ] || { printf '%s.c does not say what to expect\n' "$driver" && return 1; }
    want=${expected%% *}
    text=${expected#* }
    read -ra options <<<"$(said "$folder" "$driver" options)"
    "$loader" "${options[@]}" "$@" "$built/$driver.sys" >"$log" 2>&1 || status=$?
    if [ "$status" != "$want" ] || ! grep -qF -- "$text" "$log"; then
        printf '%s: status %s instead of %s, or without "%s":\n' "$driver $*" "$status" "$want" "$text"
        cat "$log"
        return 1
    fi
    if [ "$want" = 112 ] && ! grep -q 'driver+0x' "$log"; then
        printf '%s: the report names no place in the driver\n' "$driver"
        cat "$log"
        return 1
    fi
    printf '%s: %s\n' "$driver $*" "$expected"
}

# spoil NAME SED: the folder of drivers with one thing changed in its header, and the good driver built there.
spoil() {
    mkdir "$temporary/$1"
    cp "$drivers"/* "$temporary/$1"
    sed -i "$2" "$temporary/$1/driver.h"
    if cmp -s "$drivers/driver.h" "$temporary/$1/driver.h"; then fail "the control $1 changes nothing"; fi
    build "$temporary/$1" good
}

step "fetch"
install
fetch Cargo.toml

step "build"
cargo build --quiet --package kmdf-loader
mkdir "$built"
# Every function that the header declares, and one that the loader has not.
mapfile -t functions < <(sed -n 's/^IMPORT .*\b\([A-Z][A-Za-z0-9]*\)(.*/\1/p' "$drivers/driver.h" | grep -v '^Wdf')
[ "${#functions[@]}" -ge 10 ] || fail "the functions of driver.h are not seen"
import_library ntoskrnl.exe "${functions[@]}" MissingFunction __chkstk KeGetCurrentThread \
    KeGetCurrentProcessorNumberEx KeQueryUnbiasedInterruptTime
import_library WDFLDR.SYS WdfVersionBind WdfVersionUnbind
import_library kmdf_mock.sys kmdf_mock_spawn kmdf_mock_sleep_100ns
import_library other.dll OtherFunction
names=("$@")
if [ "$#" -eq 0 ]; then
    for file in "$drivers"/*.c; do
        names+=("$(basename "$file" .c)")
    done
fi
for name in "${names[@]}"; do
    build "$drivers" "$name"
done

step "run"
for name in "${names[@]}"; do
    check "$drivers" "$name"
    case $(said "$drivers" "$name" expect) in
    "0 good: "*)
        check "$drivers" "$name" --coverage "$temporary/covered"
        check "$drivers" "$name" --engine live --coverage "$temporary/covered"
        # Of this driver only what handles errors is left.
        awk '{ all++; ran += $2 } END { print ran " of " all " instructions ran"; exit ran < 0.7 * all || ran == all }' \
            "$temporary/covered"
        ;;
    esac
    case $(said "$drivers" "$name" expect) in
    "0 "*)
        for seed in 1 2 3; do
            check "$drivers" "$name" --seed "$seed" --elsewhere
        done
        ;;
    esac
    if [ "$(said "$drivers" "$name" engines)" != sim ]; then
        check "$drivers" "$name" --engine live --cpus 2
    fi
done

step "negative controls"
spoil index 's/WDF(112,/WDF(113,/'
expect_failure 'good : status' check "$drivers" good
spoil offset 's/PVOID ParentObject;/size_t planted;/; s/size_t ContextSizeOverride;/PVOID ParentObject;/'
expect_failure 'good : status' check "$drivers" good
spoil convention 's/BOOLEAN (\*)(PVOID, PVOID, int64_t)/BOOLEAN (__attribute__((sysv_abi)) *)(PVOID, PVOID, int64_t)/'
expect_failure 'good : status' check "$drivers" good
build "$drivers" good
mv "$built/good.sys" "$built/null_write.sys"
expect_failure 'null_write : status 0 instead of 112' check "$drivers" null_write

printf '\nloader: good, %s drivers; on the simulator of this repository, not on Windows\n' "${#names[@]}"
