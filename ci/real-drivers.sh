#!/usr/bin/env bash
# ci/real-drivers.sh [SEEDS]: the files of Linux that tests/drivers/files.txt names, taken from Debian's package of the
# source of Linux 6.1 and not changed, are compiled against the headers of include/, run on the simulated KMDF, and
# what they do is asserted; then they are compiled for Windows.
# Shown: deferred work of drivers of Linux compiles as it is with gcc and clang and does here what it is for, over
# SEEDS schedules (default 500) and once on threads of the host. For Windows, where long has 32 bits, clang and MinGW
# compile them too, but for two that cast a pointer to unsigned long: these are refused for that alone, where it is
# passed to tasklet_init() with the advice of our header. Not shown: that they run in Windows.
# Shows that spoiled copies of the files are found by the assertions (tests/drivers/mutants.txt).
# The other headers of Linux that the files include are those of tests/drivers/compat and tests/drivers/stubs.
# Needs rustup, gcc, apt-get and dpkg-deb; installs clang and MinGW if they are absent. Debian 12.
# Exit: 0 good, 1 does not compile or an effect is missing, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
seeds=${1:-500}
[[ $seeds =~ ^[1-9][0-9]*$ ]] || fail "the number of seeds is no number: $seeds"

readonly package=linux-source-6.1
readonly cache=$root/target/real-drivers
readonly build=$cache/build
readonly library=$root/target/debug/libbottomhalf_c.a

# Linux is compiled as gnu11, with all warnings but these three, which drivers of Linux are full of.
readonly warnings=(-Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers)
readonly ours=(-I "$root/tests/drivers/compat/include" -I "$root/include")
readonly clang_windows=(clang --target=x86_64-pc-windows-msvc -ffreestanding)
readonly mingw_windows=(x86_64-w64-mingw32-gcc)
readonly host=(-O2 -g -pthread -I "$root/capi/host/include")

# Columns of tests/drivers/files.txt, by the name of the program.
declare -a names
declare -A file for_windows written_for
while read -r name path _ verdict digest; do
    names+=("$name")
    file[$name]=$path
    for_windows[$name]=$verdict
    written_for[$name]=$digest
done < <(grep -v '^#' tests/drivers/files.txt)

cannot_fetch() {
    cat "$temporary/fetch.log"
    printf '%s: COULD NOT FETCH %s; nothing is known about the code\n' "$(basename "$0")" "$1" >&2
    exit "$CANNOT_FETCH"
}

# need COMMAND PACKAGE...: Debian's packages, if the command is not there.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y \
        --no-install-recommends "$@"; } \
        >"$temporary/fetch.log" 2>&1; then
        cannot_fetch "$*"
    fi
}

# The version that Debian has now, or nothing.
candidate() {
    { apt-cache show --no-all-versions "$package" 2>/dev/null || true; } | sed -n 's/^Version: //p' | head -n 1
}

# The files that are taken from the package.
wanted() {
    awk '!/^#/ { print $2; if ($3 != "-") { gsub(",", "\n", $3); print $3 } }' tests/drivers/files.txt
}

# Sets `source` to the folder with the files of Debian's current package. It is unpacked once per version.
unpack() {
    local version paths archive
    : >"$temporary/fetch.log"
    version=$(candidate)
    if [ -z "$version" ]; then
        apt-get update >>"$temporary/fetch.log" 2>&1 || true
        version=$(candidate)
        [ -n "$version" ] || cannot_fetch "$package"
    fi
    source=$cache/${package}_$version
    if wanted | cmp -s - "$source/complete"; then
        return
    fi
    mkdir -p "$temporary/package"
    if ! download; then
        apt-get update >>"$temporary/fetch.log" 2>&1 || true
        version=$(candidate)
        source=$cache/${package}_$version
        download || cannot_fetch "$package"
    fi
    rm -rf "$source"
    mkdir -p "$source"
    archive=./usr/src/$package.tar.xz
    mapfile -t paths < <(wanted)
    dpkg-deb --fsys-tarfile "$temporary"/package/*.deb | tar -xO "$archive" |
        tar -xJ -C "$source" --strip-components=1 "${paths[@]/#/$package/}" ||
        fail "$package $version does not have every file of tests/drivers/files.txt"
    wanted >"$source/complete"
}

# The current user's download, because the one that apt drops to cannot write here.
download() {
    (cd "$temporary/package" &&
        apt-get -o APT::Sandbox::User="$(id -un)" download "$package") >>"$temporary/fetch.log" 2>&1
}

# differs NAME: says so if the file is not the one that its program was written for.
differs() {
    local digest
    digest=$(sha256sum <"$source/${file[$1]}")
    if [ "${digest%% *}" != "${written_for[$1]}" ]; then
        printf 'note: %s of %s is not the text that tests/drivers/drive/%s.c was written for\n' \
            "${file[$1]}" "$(basename "$source")" "$1"
    fi
}

# includes NAME: the paths for headers of the file's own.
includes() {
    printf '%s\n' -I "$root/tests/drivers/stubs/$1" -I "$(dirname "$source/${file[$1]}")" -I "$source/include"
}

# compile NAME COMPILER FLAG... -- SOURCE OBJECT: the file of Linux, or a spoiled copy of it.
compile() {
    local name=$1 flags=() own
    shift
    while [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    mapfile -t own < <(includes "$name")
    "${flags[0]}" -std=gnu11 "${warnings[@]}" "${flags[@]:1}" -DKBUILD_MODNAME="\"$name\"" "${ours[@]}" \
        "${own[@]}" -c "$2" -o "$3"
}

# What all programs are linked with: the environment of tests/drivers/compat, and main().
shared_objects() {
    local unit
    mkdir -p "$build/shared"
    for unit in tests/drivers/compat/*.c tests/drivers/drive/drive.c; do
        gcc -std=gnu11 "${warnings[@]}" "${host[@]}" "${ours[@]}" -I tests/drivers/drive \
            -c "$unit" -o "$build/shared/$(basename "$unit" .c).o"
    done
}

# link NAME OBJECT PROGRAM
link() {
    gcc -pthread "$2" "$build/$1/drive.o" "$build"/shared/*.o "$library" -ldl -lm -o "$3"
}

# on_host NAME: with both compilers, and a program of each: the one of gcc runs in the simulation, the other live.
on_host() {
    local name=$1 own
    mkdir -p "$build/$name"
    compile "$name" clang "${host[@]}" -- "$source/${file[$name]}" "$build/$name/clang.o"
    compile "$name" gcc "${host[@]}" -- "$source/${file[$name]}" "$build/$name/linux.o"
    mapfile -t own < <(includes "$name")
    gcc -std=gnu11 "${warnings[@]}" "${host[@]}" "${ours[@]}" "${own[@]}" -I tests/drivers/drive \
        -c "tests/drivers/drive/$name.c" -o "$build/$name/drive.o"
    link "$name" "$build/$name/linux.o" "$build/$name/drive"
    link "$name" "$build/$name/clang.o" "$build/$name/drive-live"
}

# spoiled NAME SED: a copy of the file, changed, compiled, linked and run for a few seeds.
spoiled() {
    local copy=$build/$1/spoiled.c
    sed -e "$2" "$source/${file[$1]}" >"$copy"
    if cmp -s "$copy" "$source/${file[$1]}"; then
        printf 'the sed command changes nothing: %s\n' "$2"
        return 1
    fi
    compile "$1" gcc -Wno-error "${host[@]}" -- "$copy" "$build/$1/spoiled.o" &&
        link "$1" "$build/$1/spoiled.o" "$build/$1/spoiled" &&
        "$build/$1/spoiled" --engine sim --seeds 20
}

# The text of our header's error.
advice_of_header() {
    printf '#include <linux/interrupt.h>\nBOTTOMHALF_CUT_POINTER\n' |
        clang --target=x86_64-pc-windows-msvc -ffreestanding -I include -E -P -x c - |
        sed -n '$s/" *"//g; $s/^"\(.*\)"$/\1/p'
}

# refused VERDICT NAME SOURCE COMPILER...: with no warning as an error, the source does not compile for Windows,
# because of a cut pointer alone, and with the advice if that is the verdict.
refused() {
    local verdict=$1 name=$2 text=$3 log=$temporary/windows.log
    shift 3
    if compile "$name" "$@" -Wno-error -- "$text" "$build/$name/windows.o" 2>"$log"; then
        fail "$1 compiles ${file[$name]}, which cuts a pointer"
    fi
    if grep 'error:' "$log" | grep -vF "$advice" | grep -qv pointer-to-int-cast; then
        cat "$log"
        fail "$1 refuses ${file[$name]} for something else than its cut pointer"
    fi
    if [ "$verdict" = advice ] && ! grep 'error:' "$log" | grep -qF "$advice"; then
        cat "$log"
        fail "$1 refuses ${file[$name]} without the advice"
    fi
}

# advised NAME COMPILER...: the file compiles, with every warning as an error, when it does what the advice says: a
# uintptr_t takes the place of the unsigned long.
advised() {
    local name=$1 copy=$build/$1/advised.c
    shift
    sed 's/(unsigned long)ipc_queue/(uintptr_t)ipc_queue/; s/(unsigned long data)/(uintptr_t data)/' \
        "$source/${file[$name]}" >"$copy"
    compile "$name" "$@" -- "$copy" "$build/$name/windows.o" ||
        fail "$1 does not compile ${file[$name]} when it does what the advice says"
}

# The controls of the two.
planted() (
    refused advice iosm_task_queue "$build/iosm_task_queue/planted.c" "${clang_windows[@]}"
)
without_advice() (
    refused advice omap_keypad "$source/${file[omap_keypad]}" "${clang_windows[@]}"
)

# on_windows COMPILER...: what files.txt says becomes of each file.
on_windows() {
    local name
    for name in "${names[@]}"; do
        case ${for_windows[$name]} in
        compiles)
            compile "$name" "$@" -- "$source/${file[$name]}" "$build/$name/windows.o" ||
                fail "$1 does not compile ${file[$name]} for Windows"
            ;;
        advice)
            refused advice "$name" "$source/${file[$name]}" "$@"
            advised "$name" "$@"
            ;;
        cut) refused cut "$name" "$source/${file[$name]}" "$@" ;;
        *) fail "tests/drivers/files.txt: what becomes of ${file[$name]} for Windows?" ;;
        esac
    done
}

step "tools, and the source of Linux"
need clang clang
need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
unpack
printf 'the source is %s\n' "$(basename "$source")"
fetch Cargo.toml
cargo build --quiet --locked -p bottomhalf-c

step "compile for this host with gcc and clang, unchanged, with warnings as errors"
shared_objects
for name in "${names[@]}"; do
    differs "$name"
    on_host "$name"
done

step "run: $seeds seeds on the simulated machine, once on the live one"
# The live runs mostly sleep.
declare -A live result
for name in "${names[@]}"; do
    "$build/$name/drive-live" --engine live >"$build/$name/live.log" 2>&1 &
    live[$name]=$!
done
failed=0
for name in "${names[@]}"; do
    if ! "$build/$name/drive" --engine sim --seeds "$seeds" >"$build/$name/sim.log" 2>&1; then
        cat "$build/$name/sim.log"
        failed=1
        continue
    fi
    result[$name]=$(tail -n 1 "$build/$name/sim.log")
    printf '%s\n' "${result[$name]}"
done
for name in "${names[@]}"; do
    wait "${live[$name]}" || failed=1
    tail -n 20 "$build/$name/live.log"
done
[ "$failed" = 0 ] || fail "an effect of a driver is missing"

step "compile for Windows, where long has 32 bits"
advice=$(advice_of_header)
[ -n "$advice" ] || fail "include/ has no BOTTOMHALF_CUT_POINTER, the advice for pointers that are cut"
printf 'the advice: %s\n' "$advice"
on_windows "${clang_windows[@]}"
on_windows "${mingw_windows[@]}"

step "negative controls: an error of another kind, and one without the advice"
{ cat "$source/${file[iosm_task_queue]}" && printf 'int planted = undeclared;\n'; } >"$build/iosm_task_queue/planted.c"
expect_failure 'for something else than its cut pointer' planted
expect_failure 'without the advice' without_advice

step "negative controls: what a spoiled copy does wrong is found"
while IFS=$'\t' read -r name command text; do
    expect_failure "$text" spoiled "$name" "$command"
done < <(grep -v '^#' tests/drivers/mutants.txt)

step "${#names[@]} files of $(basename "$source"): ran, and compiled for Windows by clang and MinGW"
declare -rA says=([compiles]=compiles [advice]='refused, with advice' [cut]='refused, a cut pointer')
printf '%-52s %5s %5s %7s  %s\n' file lines seeds effects 'for Windows'
for name in "${names[@]}"; do
    effects=$(sed -n 's/.* effects=\([0-9]*\) .*/\1/p' <<<"${result[$name]}")
    printf '%-52s %5s %5s %7s  %s\n' "${file[$name]}" "$(wc -l <"$source/${file[$name]}")" "$seeds" "$effects" \
        "${says[${for_windows[$name]}]}"
done
printf '\nreal-drivers: good\n'
