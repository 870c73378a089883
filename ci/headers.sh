#!/usr/bin/env bash
# ci/headers.sh: compiles the C headers and the fixtures of tests/headers as C11, C17 and C++17 with gcc, clang,
# clang for x86_64-pc-windows-msvc and mingw, warnings as errors: each header alone, each twice, every name used,
# beside headers of the WDK's shape in both orders. What must not compile is refused by every compiler with the
# text that its comment says: a pointer that Windows' unsigned long cuts, wrong callbacks, wrong members. Items
# have the same bytes on both ABIs, statics need no code in C++, widths are kept on the way down, and the code
# analysis of the WDK would see the annotations.
# Shows that a spoiled layout, a missing include, a mistake that compiles and a lost width are found.
# Not shown: cl.exe, which is not for Linux; tests/c_headers.rs looks for what it rejects.
# Installs gcc, clang, mingw-w64 and binutils from Debian. Needs apt-get.
# Exit: 0 good, 1 a header is wrong, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

readonly packages=(gcc g++ clang gcc-mingw-w64-x86-64 g++-mingw-w64-x86-64 binutils)
readonly programs=(gcc g++ clang clang++ x86_64-w64-mingw32-gcc x86_64-w64-mingw32-g++ nm)

# Name of the ABI, language, command.
readonly compilers='
host    c   gcc -std=c11
host    c   gcc -std=c17
host    c   clang -std=c11
host    c   clang -std=c17
host    c++ g++ -std=c++17 -xc++
host    c++ clang++ -std=c++17 -xc++
windows c   clang --target=x86_64-pc-windows-msvc -std=c11
windows c   clang --target=x86_64-pc-windows-msvc -std=c17
windows c   clang --target=x86_64-pc-windows-msvc -std=c17 -ffreestanding
windows c   clang --target=aarch64-pc-windows-msvc -std=c17
windows c   x86_64-w64-mingw32-gcc -std=c11
windows c   x86_64-w64-mingw32-gcc -std=c17
windows c++ clang++ --target=x86_64-pc-windows-msvc -std=c++17 -xc++
windows c++ x86_64-w64-mingw32-g++ -std=c++17 -xc++
'
readonly strict=(-Wall -Wextra -Wpedantic -Werror)

install() {
    local program missing=
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || missing=yes
    done
    [ -n "$missing" ] || return 0
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${packages[@]}"; } >"$temporary/apt.log" 2>&1; then
        cat "$temporary/apt.log"
        printf '%s: COULD NOT FETCH %s; nothing is known about the headers\n' \
            "$(basename "$0")" "${packages[*]}" >&2
        exit "$CANNOT_FETCH"
    fi
}

# compile TREE COMMAND...: with the headers of TREE, from its fixtures. What the compiler says is in $log.
compile() {
    local tree=$1
    shift
    (cd "$tree/tests/headers" && "$@" -I../../include -Iwdk -DKMDF_VERSION_MAJOR=1 -DKMDF_VERSION_MINOR=33) \
        >"$temporary/compile.log" 2>&1
}

# each FUNCTION TREE...: calls FUNCTION TREE ABI LANGUAGE COMMAND... for every compiler.
each() {
    local function=$1 tree=$2 abi language command
    while read -r abi language command; do
        [ -n "$abi" ] || continue
        # shellcheck disable=SC2086 # a command is several words
        "$function" "$tree" "$abi" "$language" $command || return 1
    done <<<"$compilers"
}

# all_compile TREE ABI LANGUAGE COMMAND...: every header alone and twice, and every fixture.
all_compile() {
    local tree=$1 language=$3 header fixture count=0
    shift 3
    rm -rf "$temporary/alone"
    mkdir "$temporary/alone"
    for header in $(cd "$tree/include" && find . -name '*.h' -printf '%P\n' | sort); do
        printf '#include <%s>\n#include <%s>\n' "$header" "$header" \
            >"$temporary/alone/${header//[\/.]/_}.c"
    done
    for fixture in "$temporary"/alone/*.c "$tree"/tests/headers/*.c; do
        case $(basename "$fixture") in
        print.c | link.c) continue ;; # programs of the host, which tests/c_headers.rs links
        esac
        if ! compile "$tree" "$@" "${strict[@]}" -c "$fixture" -o "$temporary/compiled.o"; then
            head -n 20 "$temporary/compile.log"
            printf '%s does not compile with: %s\n' "$(basename "$fixture")" "$*"
            return 1
        fi
        count=$((count + 1))
    done
    [ "$count" -ge 24 ] || { printf 'only %s files were found\n' "$count" && return 1; }
    printf '%s files as %s with %s\n' "$count" "$language" "$*"
}

# lines KIND ABI LANGUAGE FIXTURE: what the comment of a fixture says for the compiler, a line each.
lines() {
    local both="(both|${3//+/\\+})"
    case $1 in
    flags) sed -nE "s/^ \* flags $both: //p" "$4" ;;
    expected) sed -nE "s/^ \* (all|$2) $both: //p" "$4" ;;
    esac
}

# all_refused TREE ABI LANGUAGE COMMAND...: each fixture of reject/ is refused with its texts, or compiles if it
# has none for this compiler.
all_refused() {
    local tree=$1 abi=$2 language=$3 fixture name text expected flags refused=0 taken=0
    shift 3
    for fixture in "$tree"/tests/headers/reject/*.c; do
        name=$(basename "$fixture")
        read -r -a flags < <(lines flags "$abi" "$language" "$fixture" && printf '\n')
        mapfile -t expected < <(lines expected "$abi" "$language" "$fixture")
        if compile "$tree" "$@" "${strict[@]}" "${flags[@]}" -c "$fixture" -o "$temporary/compiled.o"; then
            [ ${#expected[@]} -gt 0 ] || { taken=$((taken + 1)) && continue; }
            printf '%s compiles with: %s\n' "$name" "$*"
            return 1
        fi
        if [ ${#expected[@]} = 0 ]; then
            cat "$temporary/compile.log"
            printf '%s is refused by: %s\n' "$name" "$*"
            return 1
        fi
        for text in "${expected[@]}"; do
            grep -qE -- "$text" "$temporary/compile.log" && continue
            cat "$temporary/compile.log"
            printf '%s is refused, but not with: %s\nby: %s\n' "$name" "$text" "$*"
            return 1
        done
        refused=$((refused + 1))
    done
    [ "$refused" -ge 20 ] || { printf 'only %s were refused\n' "$refused" && return 1; }
    printf '%s refused and %s taken as %s with %s\n' "$refused" "$taken" "$language" "$*"
}

# trap_without_options TREE ABI LANGUAGE COMMAND...: the cut pointers are refused without -Werror too.
trap_without_options() {
    local tree=$1 name
    [ "$2" = windows ] || return 0
    shift 3
    for name in pointer_cast_to_tasklet_init pointer_cast_to_data cut_before wide_datum; do
        if compile "$tree" "$@" -c "reject/$name.c" -o "$temporary/compiled.o"; then
            printf '%s.c compiles without -Werror with: %s\n' "$name" "$*"
            return 1
        fi
        grep -qF 'use tasklet_setup() and from_tasklet()' "$temporary/compile.log" ||
            grep -qF 'tasklet_setup() and from_tasklet(), or let' "$temporary/compile.log" ||
            { cat "$temporary/compile.log" && printf '%s.c: no advice by: %s\n' "$name" "$*" && return 1; }
    done
}

# section OBJECT: the bytes of its initialised data.
section() {
    x86_64-w64-mingw32-objcopy -O binary -j .data "$1" "$temporary/section" 2>/dev/null ||
        objcopy -O binary -j .data "$1" "$temporary/section"
    # What a compiler puts behind it to fill up a section is left out.
    head -c 280 "$temporary/section"
}

# same_image TREE ABI LANGUAGE COMMAND...: the items of image.c are the bytes of the first compiler's.
same_image() {
    local tree=$1 language=$3
    shift 3
    [ "$language" = c ] || return 0
    case $* in *aarch64*) return 0 ;; esac # binutils here do not read its objects; its asserts are compiled above
    compile "$tree" "$@" -c image.c -o "$temporary/image.o" || { cat "$temporary/compile.log" && return 1; }
    section "$temporary/image.o" >"$temporary/image"
    [ "$(stat -c %s "$temporary/image")" = 280 ] || { printf 'image.c has another size by: %s\n' "$*" && return 1; }
    [ -f "$temporary/image.first" ] || cp "$temporary/image" "$temporary/image.first"
    cmp "$temporary/image.first" "$temporary/image" || { printf 'by: %s\n' "$*" && return 1; }
}

# symbols OBJECT: its symbols, whatever its format.
symbols() { x86_64-w64-mingw32-nm "$1" 2>/dev/null || nm "$1"; }

# static_statics TREE ABI LANGUAGE COMMAND...: in C++ too, the declared items are data and no code makes them.
static_statics() {
    local tree=$1 fixture
    [ "$3" = c++ ] || return 0
    shift 3
    for fixture in interrupt work delayed_work; do
        compile "$tree" "$@" -c "$fixture.c" -o "$temporary/statics.o" ||
            { cat "$temporary/compile.log" && return 1; }
        if symbols "$temporary/statics.o" | grep -E '_GLOBAL__|static_init|\?\?__E'; then
            printf '%s.c makes its items by code with: %s\n' "$fixture" "$*"
            return 1
        fi
    done
}

# widths_kept TREE ABI LANGUAGE COMMAND...: every expectation of widths.c is folded away.
widths_kept() {
    local tree=$1
    shift 3
    case $* in *aarch64*) return 0 ;; esac # as in same_image
    compile "$tree" "$@" -O2 "${strict[@]}" -c widths.c -o "$temporary/widths.o" ||
        { cat "$temporary/compile.log" && return 1; }
    symbols "$temporary/widths.o" | grep -q expect_delays || { printf 'no symbols of: %s\n' "$*" && return 1; }
    if symbols "$temporary/widths.o" | grep an_expectation_does_not_hold; then
        printf 'an expectation of widths.c does not hold with: %s\n' "$*"
        return 1
    fi
}

# annotated TREE: the code analysis of the WDK sees the level of every function, also without ntddk.h before it.
annotated() {
    local count
    printf '#include <linux/interrupt.h>\n#include <linux/workqueue.h>\n#include <linux/devm-helpers.h>\n' \
        >"$temporary/analysed.c"
    compile "$1" clang --target=x86_64-pc-windows-msvc -D_PREFAST_ -E -P "$temporary/analysed.c" \
        -o "$temporary/analysed" || { cat "$temporary/compile.log" && return 1; }
    count=$(grep -c '^annotated_irql(\(0\|1\|2\|15\))' "$temporary/analysed") || true
    [ "$count" -ge 90 ] || { printf 'the analysis sees the levels of %s functions\n' "$count" && return 1; }
    grep -q '^annotated_irql(0) annotated_result .*annotated_format' <(tr '\n' ' ' <"$temporary/analysed" |
        sed 's/annotated_irql/\nannotated_irql/g') || { printf 'alloc_workqueue is not annotated\n' && return 1; }
    printf 'the analysis sees the levels of %s functions\n' "$count"
}

step "install"
install

step "headers and fixtures"
each all_compile "$root"

step "what must not compile"
each all_refused "$root"
each trap_without_options "$root"

step "items and widths"
each same_image "$root"
each static_statics "$root"
each widths_kept "$root"
printf 'the bytes, statics and widths are right\n'
annotated "$root"

step "negative controls"
# spoil FILE FROM TO: the copy of the tree, with FROM replaced in FILE.
spoil() {
    control_tree
    grep -qF -- "$2" "$control/tree/$1" || fail "$1 has no '$2' to spoil"
    FROM=$2 TO=$3 perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$control/tree/$1"
}
spoil include/bottomhalf/items.h 'uint8_t bottomhalf_link[3];' 'uint8_t bottomhalf_link[7];'
expect_failure 'bottomhalf: the size of tasklet_struct' each all_compile "$control/tree"
spoil include/linux/preempt.h '#include <bottomhalf/abi.h>' ''
expect_failure 'linux_preempt_h.c does not compile' each all_compile "$control/tree"
spoil include/bottomhalf/types.h '(1 ? (pointer) : &((type *)0)->member)' '(pointer)'
expect_failure 'container_of_the_wrong_member.c compiles' each all_refused "$control/tree"
spoil include/bottomhalf/llp64.h 'unsigned long: 0, long: 0, default: 1' 'default: 1'
expect_failure 'cut_before.c compiles' each all_refused "$control/tree"
spoil include/bottomhalf/llp64.h 'use tasklet_setup() and from_tasklet(), or ' 'no, or '
expect_failure 'is refused, but not with' each all_refused "$control/tree"
spoil include/bottomhalf/llp64.h '#pragma GCC diagnostic error "-Wpointer-to-int-cast"' ''
expect_failure 'pointer_cast_to_data.c compiles' each trap_without_options "$control/tree"
spoil include/bottomhalf/items.h '#define BOTTOMHALF_ZERO_HIGH 0,' '#define BOTTOMHALF_ZERO_HIGH 1,'
rm -f "$temporary/image.first"
expect_failure 'differ' each same_image "$control/tree"
spoil tests/headers/work.c 'static DECLARE_WORK(declared, reset);' \
    'static work_func_t chosen(void) { return reset; }
static DECLARE_WORK(declared, chosen());'
expect_failure 'work.c makes its items by code' each static_statics "$control/tree"
spoil include/bottomhalf/compiler.h '#include <driverspecs.h>' ''
expect_failure 'the analysis sees the levels of 0 functions' annotated "$control/tree"
spoil include/bottomhalf/delayed_work.h '(uint64_t)(int64_t)(long)delay' 'delay'
expect_failure 'an expectation of widths.c does not hold' each widths_kept "$control/tree"

printf '\nheaders: good\n'
