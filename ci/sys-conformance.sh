#!/usr/bin/env bash
# ci/sys-conformance.sh [SEEDS [ID...]]: the conformance scenarios as an image for Windows. Builds the C library for
# drivers against the stand-in of cross/, compiles the scenarios and their small Linux environment with clang for
# x86_64-pc-windows-msvc, links both with what tests/sys has, and runs each scenario with each seed in the loader, in
# a process of its own. The answers are held against those that the answers on the host are held against; where they
# differ by the width of unsigned long, tests/sys/llp64.txt says how. Says which lines of src/ the runs have covered.
# Not shown: that Windows loads the image, or that NT and KMDF do what kmdf-mock does.
# Shows that a wrong table index of the stand-in or of the driver, an answer that is not the recorded one, and an
# answer on the list that does not differ are found, and so is a line that did not run.
# Needs rustup, a C linker, apt-get, which installs clang and llvm, and dpkg-deb.
# Exit: 0 good, 1 a scenario answers otherwise or the coverage is too low, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly seeds=${1:-3} least=${LEAST_COVERAGE:-85}
readonly loader=$root/target/debug/kmdf-loader runner=$root/target/debug/through_sys
readonly widths=tests/sys/llp64.txt
toolchain=$root/target/cross-toolchain
work=$root/target/sys-conformance
driver=$work/conformance.sys
built=$temporary/built

packages() {
    if command -v clang >/dev/null && command -v llvm-symbolizer >/dev/null; then return; fi
    if ! { apt-get -o DPkg::Lock::Timeout=600 update && DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends clang llvm; } \
        >"$temporary/apt.log" 2>&1; then
        cat "$temporary/apt.log"
        printf '%s: COULD NOT FETCH clang and llvm; nothing is known about the code\n' "$(basename "$0")" >&2
        exit "$CANNOT_FETCH"
    fi
}

# stand_in [SED]: a copy of the stand-in whose manifests do not inherit, for cargo would look for their workspace in
# the root's; with a change to its table of functions.
stand_in() {
    local crate
    rm -rf "$work/stand-in"
    mkdir -p "$work/stand-in/mock/src" "$work/stand-in/cross"
    cp -R mock/src/abi "$work/stand-in/mock/src/"
    for crate in wdk wdk-sys; do
        cp -R "cross/$crate" "$work/stand-in/cross/"
        sed -i -e 's/^edition\.workspace.*/edition = "2024"/' -e '/\.workspace = true$/d' \
            -e '/^\[lints\]$/,$d' "$work/stand-in/cross/$crate/Cargo.toml"
    done
    [ "$#" -gt 0 ] || return 0
    sed -i "$1" "$work/stand-in/mock/src/abi/functions.rs"
    if cmp -s mock/src/abi/functions.rs "$work/stand-in/mock/src/abi/functions.rs"; then
        fail "the control changes nothing: $1"
    fi
}

# library PREFIX: the C library for drivers, with the lines of its code.
library() {
    [ ! -d target/install ] || find target/install -name cached_function_info_map.json -delete
    CARGO_PROFILE_RELEASE_DEBUG=line-tables-only RUSTC=$toolchain/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS='-Ctarget-feature=+crt-static -Dwarnings' \
        bash capi/install.sh --prefix "$1" --target windows --kmdf-minor 33 -- --quiet \
        -Zbuild-std=core,alloc --config "patch.crates-io.wdk-sys.path='$work/stand-in/cross/wdk-sys'" \
        --config "patch.crates-io.wdk.path='$work/stand-in/cross/wdk'"
}

# The linker of the Rust toolchain, as that of Windows.
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

# compile FILE: into an object of its name. A jump table would be data in the code, which the loader reads as code.
compile() {
    clang --target=x86_64-pc-windows-msvc -std=c11 -O1 -g -gcodeview -ffreestanding -nostdlibinc -fno-builtin \
        -fno-jump-tables -fno-stack-protector -Wall -Wextra -Werror -Wno-unused-parameter -isystem tests/sys/include \
        -Itests/conformance -Itests/drivers/compat -Itests/drivers/compat/include -Iinclude -Icapi/host/include \
        -c "$1" -o "$built/$(basename "$1" .c).obj"
}

# scenarios: all files but the main file of a kernel's module. Interrupts are those of kmdf_mock.sys.
scenarios() {
    local file functions
    for file in tests/conformance/*.c tests/drivers/compat/*.c tests/sys/*.c; do
        [ "$(basename "$file")" = module.c ] || compile "$file"
    done
    # What the loader has of ntoskrnl.exe.
    mapfile -t functions < <(sed -n 's/^    \([A-Z][A-Za-z0-9]*\)(.*/\1/p' loader/src/nt.rs
        sed -n 's/^ *("\([A-Za-z_0-9]*\)", Entry.*/\1/p; s/^        "\([A-Za-z_0-9]*\)",$/\1/p' loader/src/rtl.rs)
    [ "${#functions[@]}" -ge 50 ] || fail "the functions of the loader are not seen"
    import_library ntoskrnl.exe "${functions[@]}"
    import_library WDFLDR.SYS WdfVersionBind WdfVersionUnbind
    import_library kmdf_mock.sys kmdf_mock_{answer,argument,debug_print,interrupt,log,settle}
}

# image FILE PREFIX: links the driver with the library.
image() {
    lld /driver /subsystem:native /entry:FxDriverEntry /nodefaultlib /dynamicbase /release /debug \
        /pdbaltpath:conformance.pdb "/out:$1" "$built"/*.obj \
        "$2/lib/windows/x64/kmdf-1.33/bottomhalf_c.lib" "$built"/*.lib
}

# ask IMAGE WIDTHS SEEDS ID...: runs the scenarios and compares.
ask() { "$runner" "$loader" "$@"; }

# covered FOLDER LEAST: of the lines that the image has instructions of, how many have run, for the two parts of
# src/ that there is a least share for, in percent, and the rest. An inlined line counts for the line itself.
covered() {
    cat "$1"/* | awk '{ if (!($1 in ran) || $2) ran[$1] = $2 } END { for (at in ran) print at, ran[at] }' >"$temporary/ran"
    cut -d' ' -f1 "$temporary/ran" |
        llvm-symbolizer --relative-address --inlines --functions=none --obj="$driver" >"$temporary/places"
    awk -v least="$2" -v root="$root/src/" '
        NR == FNR { ran[NR] = $2; next }
        FNR == 1 { at = 1 }
        $0 == "" { at++; next }
        index($0, root) == 1 {
            line = substr($0, length(root) + 1)
            sub(/:[0-9]+$/, "", line)
            if (line ~ /:0$/) next
            if (!(line in seen) || ran[at] > seen[line]) seen[line] = ran[at]
        }
        END {
            for (line in seen) {
                part = line
                sub(/:.*/, "", part)
                sub(/\/.*/, "", part)
                all[part]++
                run[part] += seen[line]
            }
            status = 0
            for (part in all)
                printf "src/%s: %d of %d lines, %.1f %%\n", part, run[part], all[part], 100 * run[part] / all[part]
            split("engine kmdf", wanted, " ")
            for (i = 1; i <= 2; i++)
                if (!all[wanted[i]] || 100 * run[wanted[i]] / all[wanted[i]] < least) {
                    printf "src/%s: less than %s %% of the lines have run\n", wanted[i], least
                    status = 1
                }
            exit status
        }' "$temporary/ran" "$temporary/places"
}

# differing LINE...: the list of answers that differ, with other lines in place of its own.
differing() {
    printf '%s\n' "$@" >"$temporary/widths"
    printf '%s\n' "$temporary/widths"
}

# other_entry NAME SED: an entry stub whose header has one thing changed, in place of the good one.
other_entry() {
    cp loader/tests/drivers/driver.h "$temporary/driver.h"
    sed -i "$2" "$temporary/driver.h"
    if cmp -s loader/tests/drivers/driver.h "$temporary/driver.h"; then fail "the control $1 changes nothing"; fi
    sed "s:\"../../loader/tests/drivers/driver.h\":\"$temporary/driver.h\":" tests/sys/entry.c >"$temporary/entry.c"
    compile "$temporary/entry.c"
}

step "fetch"
packages
fetch Cargo.toml
fetch cross/Cargo.toml
bash ci/cross-toolchain.sh "$toolchain"
mkdir -p "$built"

step "build"
cargo build --quiet --package kmdf-loader --package bottomhalf-conformance --bins
stand_in
library "$work/prefix"
scenarios
image "$driver" "$work/prefix"
printf '%s bytes\n' "$(stat -c %s "$driver")"

step "the scenarios"
ask "$driver" "$widths" "$seeds" "${@:2}"
if [ "$#" -lt 2 ]; then
    step "the lines that the scenarios run"
    mkdir "$temporary/coverage"
    CONFORMANCE_COVERAGE=$temporary/coverage ask "$driver" "$widths" 1
    covered "$temporary/coverage" "$least"
    expect_failure 'src/engine: less than' covered "$temporary/coverage" 101
fi

step "negative controls"
answered=$(grep '^T01 ' tests/conformance/recorded/linux-6.12.txt)
expect_failure 'J408 differs' ask "$driver" "$(differing '# none')" 1 J408
expect_failure 'T01 differs by its width, and answers as Linux does' ask "$driver" "$(differing "$answered")" 1 T01
expect_failure 'T01 differs' ask "$driver" "$(differing 'T01 runs=2 state=0')" 1 T01
other_entry index 's/WDF(116,/WDF(117,/'
image "$work/control.sys" "$work/prefix"
expect_failure 'T01 exit status' ask "$work/control.sys" "$widths" 1 T01
compile tests/sys/entry.c
stand_in 's/\(WdfDpcEnqueueTableIndex: Type = \)112;/\1113;/'
library "$work/control"
image "$work/control.sys" "$work/control"
expect_failure 'KMDF_IRQL(WdfDpcCancel)' ask "$work/control.sys" "$widths" 1 T01 T04 D01 W01

printf '\nsys-conformance: good; on the simulator of this repository, not on Windows\n'
