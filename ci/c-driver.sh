#!/usr/bin/env bash
# ci/c-driver.sh: builds and runs examples/c-driver, one C driver for three systems. On the simulated KMDF: by
# gcc and by clang, over 1 000 schedules, and by CMake over the installed library. As a module for Debian's
# cloud kernels 6.1 and 6.12, which are booted under QEMU (plain emulation) to load and unload it. And for
# Windows on x86-64 and ARM64, as far as a compiler goes without the WDK. The driver's files are the same in
# all of them, and include Linux's headers only.
# Shows that a driver whose work does not hold the tasklet off, one that does not wait for it, one that loses a
# sample on Linux, and one with a word of Windows are found.
# Needs rustup, and Debian 12 on x86-64; compilers, CMake, QEMU, busybox and cpio come from apt-get if they are
# missing, kernels as in ci/linux-oracle.sh. Exit: 0 good, 1 not, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/debian-linux.sh
source "$(dirname "$0")/debian-linux.sh"

export CARGO_TERM_COLOR=never
export CARGO_TARGET_DIR=$root/target
readonly example=$root/examples/c-driver
work=$root/target/c-driver
mkdir -p "$work"

need make make
need gcc gcc
need gcc-12 gcc-12
need clang clang
need cmake cmake
need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio

# host FOLDER COMPILER [OPTION]...: builds and runs the example of FOLDER.
host() {
    local folder=$1 compiler=$2
    shift 2
    make -C "$folder" --no-print-directory run root="$root" CC="$compiler" CFLAGS="-O2 -g -Werror $*"
}

# spoiled NAME SED: a copy of the example whose sensor.c is changed by SED, in $work/NAME.
spoiled() {
    rm -rf "${work:?}/$1"
    mkdir -p "$work/$1"
    cp "$example"/*.[ch] "$example/Makefile" "$example/Kbuild" "$work/$1"
    sed -i "$2" "$work/$1/sensor.c"
    ! cmp -s "$example/sensor.c" "$work/$1/sensor.c" || fail "the change of $1 changes nothing"
}

# only_linux FOLDER: the driver names Linux's headers and no type or function of NT's.
only_linux() {
    if grep -nE '#include <' "$1"/sensor.[ch] | grep -v '#include <linux/' ||
        grep -nEw 'Wdf[A-Za-z]*|WDF[A-Z]*|Ke[A-Z][a-z]+[A-Za-z]*|NTSTATUS|_WIN32|_WIN64|bottomhalf[a-z_]*' "$1"/sensor.[ch]; then
        echo 'the driver has a word of Windows'
        return 1
    fi
}

# module SERIES FOLDER: sensor_example.ko, from a copy, because kbuild writes beside the sources.
module() {
    local to
    to=$work/$1/$(basename "$2")
    mkdir -p "$to"
    cp "$2"/*.[ch] "$2/Kbuild" "$to"
    make -C "$to" --no-print-directory -f "$example/Makefile" module root="$root" KDIR="$(headers "$1")" \
        CC=gcc-12 KCFLAGS=-Werror CONFIG_DEBUG_INFO_BTF_MODULES= >"$to/make.log" 2>&1 || {
        grep -v '^make' "$to/make.log"
        return 1
    }
}

# boot SERIES MODULE...: loads and unloads each module; $work/SERIES/console.txt is what the kernel said.
boot() {
    local series=$1 tree=$work/$1/tree console=$work/$1/console.txt attempt pid module
    shift
    rm -rf "$tree"
    mkdir -p "$tree"/{bin,proc}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    printf '#!/bin/busybox sh\n/bin/busybox mount -t proc none /proc\n' >"$tree/init"
    for module; do
        cp "$module/sensor_example.ko" "$tree/$(basename "$module").ko"
        printf '/bin/busybox insmod /%s.ko\n/bin/busybox sleep 1\n/bin/busybox rmmod sensor_example\n' \
            "$(basename "$module")" >>"$tree/init"
    done
    printf 'echo THE END\n/bin/busybox poweroff -f\n' >>"$tree/init"
    chmod +x "$tree/init"
    (cd "$tree" && find . -print0 | cpio --null --create --format=newc --quiet) >"$work/$series/initramfs.cpio"
    for attempt in 1 2 3; do
        : >"$console"
        qemu-system-x86_64 -machine pc -accel tcg,thread=single -m 512 -nodefaults -no-user-config -display none \
            -no-reboot -serial "file:$console" -smp 2 -kernel "$cache/$series"/boot/vmlinuz-* \
            -initrd "$work/$series/initramfs.cpio" \
            -append "console=ttyS0 loglevel=7 printk.time=0 panic=-1 mitigations=off cryptomgr.notests audit=0" \
            >"$temporary/qemu.log" 2>&1 </dev/null &
        pid=$!
        wait_for "$console" 'THE END' 120 "$pid" || true
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        if grep -q 'THE END' "$console"; then
            return
        fi
        printf 'Linux %s did not come to its end at attempt %s\n' "$series" "$attempt"
    done
    cat "$temporary/qemu.log"
    tail -n 40 "$console"
    return 1
}

# stored LINE: every sample of the line that the module prints at its end is stored, and there are some.
stored() {
    printf '%s\n' "$1"
    if [[ $1 =~ sensor:\ ([0-9]+)\ samples,\ ([0-9]+)\ stored ]] && [ "${BASH_REMATCH[1]}" -gt 0 ] &&
        [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]; then
        return
    fi
    echo 'not every sample is stored'
    return 1
}

step "the driver has no word of Windows"
only_linux "$example"

step "on the simulated KMDF"
host "$example" gcc
host "$example" clang -std=c17 >"$work/clang.log" || { cat "$work/clang.log" && fail "clang's build fails"; }
tail -n 1 "$work/clang.log"

step "over the installed library, by CMake"
bash capi/install.sh --prefix "$work/prefix" >"$work/install.log" 2>&1 || { cat "$work/install.log" && fail "the library is not installed"; }
rm -rf "$work/cmake"
cmake -S "$example" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_FLAGS=-Werror >"$work/cmake.log"
cmake --build "$work/cmake" >>"$work/cmake.log" || { cat "$work/cmake.log" && fail "CMake's build fails"; }
"$work/cmake/sensor" 200 | tail -n 1

step "for Windows"
for target in x86_64-pc-windows-msvc aarch64-pc-windows-msvc; do
    clang --target=$target -fsyntax-only -ffreestanding -std=c11 -Wall -Wextra -Werror -Iinclude "$example/sensor.c"
    echo "clang compiles the driver for $target"
done
x86_64-w64-mingw32-gcc -fsyntax-only -std=c11 -Wall -Wextra -Werror -Iinclude "$example/sensor.c"
echo "gcc compiles the driver for x86_64-w64-mingw32"

spoiled loses-a-sample 's/if (samples)/if (samples > 3)/'
for series in 6.1 6.12; do
    step "on Linux $series"
    unpack "$series"
    module "$series" "$example"
    module "$series" "$work/loses-a-sample"
    boot "$series" "$work/$series/c-driver" "$work/$series/loses-a-sample" || fail "Linux $series does not come to its end"
    if grep -E 'BUG:|WARNING:|Oops|Call Trace|insmod:|rmmod:' "$work/$series/console.txt"; then
        fail "Linux $series complains"
    fi
    mapfile -t ends < <(sed -n 's/\r$//; /^sensor: .* stored/p' "$work/$series/console.txt")
    stored "${ends[0]:-}" || fail "Linux $(release "$series") loses samples"
    printf 'Linux %s has loaded and unloaded the driver\n' "$(release "$series")"
    expect_failure 'not every sample is stored' stored "${ends[1]:-}"
done

step "negative controls"
spoiled does-not-hold-off '/tasklet_disable/d; /tasklet_enable/d'
expect_failure 'every sample that was taken is stored once' host "$work/does-not-hold-off" gcc
expect_failure 'replay: KMDF_MOCK_SEED=' host "$work/does-not-hold-off" gcc
spoiled does-not-wait 's/tasklet_kill/tasklet_disable/'
expect_failure 'nothing was left pending' host "$work/does-not-wait" gcc
spoiled knows-windows '/^#include <linux/i #include <wdf.h>'
expect_failure 'the driver has a word of Windows' only_linux "$work/knows-windows"
expect_failure 'wdf.h' module 6.12 "$work/knows-windows"
