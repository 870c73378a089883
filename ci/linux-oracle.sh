#!/usr/bin/env bash
# ci/linux-oracle.sh [OPTION]...: asks Linux itself. Builds the scenarios of tests/conformance as a module for
# Debian's cloud kernels 6.1 and 6.12, boots both under QEMU (plain emulation, never KVM), and holds
# what they print against tests/conformance/recorded; then runs the same scenarios on the simulated
# KMDF, over 1 000 seeds, and holds those answers against the recorded ones.
#   --kernel 6.1|6.12   only this kernel, and not our side
#   --scenarios T04,W12 only these scenarios, and not our side: prints what the kernel answers
#   --record            writes tests/conformance/recorded; as many boots as --boots says have to agree
#   --boots N           how often each guest is booted (default 1, with --record 5)
#   --seeds N           how many seeds on our side (default 1000)
# Kernels and headers are downloaded and unpacked, never installed, under $ORACLE_CACHE (default
# target/oracle/cache). Not shown: PREEMPT_RT, CPU hotplug, real hardware. Debian 12 on x86-64; QEMU, busybox,
# cpio and gcc-12 come from apt-get if they are missing. Exit: 0 agreed, 1 not, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/debian-linux.sh
source "$(dirname "$0")/debian-linux.sh"

kernels=(6.1 6.12)
scenarios=
record=false
boots=
seeds=1000
our_side=true
while [ "$#" -gt 0 ]; do
    case $1 in
    --kernel) kernels=("$2") our_side=false && shift ;;
    --scenarios) scenarios=$2 our_side=false && shift ;;
    --record) record=true ;;
    --boots) boots=$2 && shift ;;
    --seeds) seeds=$2 && shift ;;
    *) fail "unknown option $1; --help lists them" ;;
    esac
    shift
done
if [ -z "$boots" ]; then
    if $record; then boots=5; else boots=1; fi
fi
work=$root/target/oracle
suite=$root/tests/conformance
mkdir -p "$work"

# How a guest is booted: its groups of scenarios, the machine, and the kernel's options beyond the common ones.
readonly guests=(tasks timelines misuse)
groups_of() { case $1 in tasks) echo tasklets,works,queues,delayed ;; *) echo "$1" ;; esac }
# Orders that depend on time come from one CPU whose clock counts instructions; the rest needs four.
machine_of() { case $1 in timelines) echo "-smp 1 -icount shift=3,sleep=off" ;; *) echo "-smp 4" ;; esac }
# Above a threshold a work counts as CPU intensive (6.5 and later). Left alone, a kernel that finds its CPU slow
# raises it; the timelines are the documentation's, which knows of none.
options_of() {
    case $1 in
    timelines) echo "workqueue.cpu_intensive_thresh_us=1000000" ;;
    *) echo "workqueue.cpu_intensive_thresh_us=10000 preempt=full" ;;
    esac
}

# A file of scenarios that kit.c does not list would be built and never asked.
check_files() {
    local file
    sed -n 's/^KIT_GROUP(\([a-z_]*\),.*/\1/p' "$suite"/*.c | while read -r file; do
        grep -q " file($file)" "$suite/kit.c" || fail "tests/conformance/kit.c does not list the file $file"
    done
}

# build SERIES: the module, from a copy of the sources, because kbuild writes beside them.
build() {
    local series=$1 to=$work/$1/module file
    mkdir -p "$to"
    for file in "$to"/*.[ch]; do
        [ -e "$suite/$(basename "$file")" ] || [[ $file == *.mod.c ]] || rm -f "$file"
    done
    for file in "$suite"/*.[ch] "$suite/Kbuild"; do
        cmp -s "$file" "$to/$(basename "$file")" || cp "$file" "$to"
    done
    if ! make -C "$(headers "$series")" M="$to" CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$work/$series/make.log" 2>&1; then
        grep -v '^make' "$work/$series/make.log" || true
        fail "the scenarios do not build for Linux $series"
    fi
    pack "$series"
}

# pack SERIES: busybox, the module and what runs it, as the guest's first and only file system.
pack() {
    local tree=$work/$1/tree
    rm -rf "$tree"
    mkdir -p "$tree"/{bin,proc,sys,dev}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    cp "$suite/guest/init" "$tree/init"
    chmod +x "$tree/init"
    cp "$work/$1/module/conformance.ko" "$tree"
    (cd "$tree" && find . -print0 | cpio --null --create --format=newc --quiet) >"$work/$1/initramfs.cpio"
}

# boot SERIES GUEST CONSOLE: boots a guest until its last answer; up to three times if the kernel does not get
# as far as the first. A guest that stops after that is an answer too, and a failure.
boot() {
    local series=$1 guest=$2 console=$3 pid good attempt
    for attempt in 1 2 3; do
        : >"$console"
        # shellcheck disable=SC2046
        qemu-system-x86_64 -machine pc -accel tcg,thread=single -m 512 -nodefaults -no-user-config -display none \
            -no-reboot -serial "file:$console" $(machine_of "$guest") \
            -kernel "$cache/$series"/boot/vmlinuz-* -initrd "$work/$series/initramfs.cpio" \
            -append "console=ttyS0 loglevel=6 printk.time=0 panic=-1 mitigations=off cryptomgr.notests audit=0 apparmor=0 nohz=off tsc=reliable $(options_of "$guest") -- $(groups_of "$guest") $scenarios" \
            >"$temporary/qemu.log" 2>&1 </dev/null &
        pid=$!
        good=true
        wait_for "$console" 'ANSWERS FROM' 90 "$pid" || good=false
        if $good; then
            wait_for "$console" 'ANSWERS END' 300 "$pid" || good=false
            kill "$pid" 2>/dev/null || true
            wait "$pid" 2>/dev/null || true
            $good && return
            tail -n 40 "$console"
            fail "Linux $series stopped in the guest of $guest; the console is in $console"
        fi
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        cp "$console" "${console%.txt}-failed-$attempt.txt"
        printf 'Linux %s did not boot as the guest of %s, attempt %s:\n' "$series" "$guest" "$attempt" >&2
        tail -n 3 "$console" >&2
    done
    cat "$temporary/qemu.log"
    tail -n 40 "$console"
    fail "Linux $series does not boot"
}

# is_wanted GUEST: whether a scenario that is asked for is in a group of this guest.
is_wanted() {
    local group
    local -a files
    [ -n "$scenarios" ] || return 0
    mapfile -t files < <(grep -lE "KIT_ROW\((${scenarios//,/|})\)" "$suite"/*.c)
    [ "${#files[@]}" -gt 0 ] || fail "there is no scenario $scenarios"
    while read -r group; do
        [[ ,$(groups_of "$1"), != *,$group,* ]] || return 0
    done < <(sed -n 's/^KIT_GROUP([a-z_]*, "\([a-z]*\)".*/\1/p' "${files[@]}")
    return 1
}

# agree FIRST LATER: two boots of one kernel.
agree() {
    diff -u "$1" "$2" && return
    echo 'this Linux does not answer the same in every boot'
    return 1
}

no_hang() {
    grep ' HANG ' "$1" || return 0
    echo 'a scenario hangs on this Linux'
    return 1
}

# quiet GUEST CONSOLE: only the guest of misuse may make its kernel complain. That it finds its CPU slow is no complaint.
quiet() {
    [ "$1" != misuse ] || return 0
    grep -E 'BUG: |WARNING: |Oops' "$2" | grep -v 'soft lockup' || return 0
    echo 'this Linux complains of a scenario that is no misuse'
    return 1
}

# ask SERIES: every guest, $boots times; the answers are in $work/SERIES/answers.txt, in the order of their ids.
ask() {
    local series=$1 guest n console answers=$work/$1/answers
    for ((n = 1; n <= boots; n++)); do
        printf '# Linux %s\n' "$(release "$series")" >"$answers-$n.txt"
        for guest in "${guests[@]}"; do
            is_wanted "$guest" || continue
            console=$work/$series/console-$guest-$n.txt
            boot "$series" "$guest" "$console" >&2
            quiet "$guest" "$console" >&2 || exit 1
            sed -n 's/\r$//; s/^ANSWER //p' "$console"
        done | LC_ALL=C sort -V >>"$answers-$n.txt"
        [ "$(wc -l <"$answers-$n.txt")" -gt 1 ] || fail "Linux $series answered nothing"
        agree "$answers-1.txt" "$answers-$n.txt" || exit 1
    done
    no_hang "$answers-1.txt" || exit 1
    cp "$answers-1.txt" "$answers.txt"
    printf 'Linux %s answered %s scenarios, the same in each of %s boots\n' "$(release "$series")" \
        "$(grep -vc '^#' "$answers.txt")" "$boots"
}

# hold RECORDED ANSWERED: two files of answers, which begin with the name of the kernel.
hold() {
    if ! diff -u --label "recorded of $(head -n 1 "$1")" --label "answered by $(head -n 1 "$2")" \
        <(tail -n +2 "$1") <(tail -n +2 "$2"); then
        echo 'this Linux answers otherwise than recorded'
        return 1
    fi
}

# ask_again RECORDED SERIES: a machine that stood still for a while may have made a scenario late. What is answered
# otherwise than recorded is asked once more, by itself, and that answer counts; the first one is printed.
ask_again() {
    local again answered=$work/$2/answers.txt scenarios
    again=$(diff <(tail -n +2 "$1") <(tail -n +2 "$answered") | sed -n 's/^> \([^ ]*\) .*/\1/p' || true)
    [ -n "$again" ] && [ "$(wc -w <<<"$again")" -le 5 ] || return 0
    printf 'asked again, for they were answered otherwise:\n'
    grep -E "^(${again//$'\n'/|}) " "$answered"
    scenarios=${again//$'\n'/,}
    grep -vE "^(${again//$'\n'/|}) " "$answered" >"$temporary/first.txt"
    ask "$2"
    tail -n +2 "$answered" >"$temporary/again.txt"
    {
        head -n 1 "$temporary/first.txt"
        { tail -n +2 "$temporary/first.txt" && cat "$temporary/again.txt"; } | LC_ALL=C sort -V
    } >"$answered"
}

need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
need gcc-12 gcc-12
need make make

check_files
for series in "${kernels[@]}"; do
    step "Linux $series"
    mkdir -p "$work/$series"
    unpack "$series"
    build "$series"
    ask "$series"
    recorded=$suite/recorded/linux-$series.txt
    if [ -n "$scenarios" ]; then
        tail -n +2 "$work/$series/answers.txt"
    elif $record; then
        cp "$work/$series/answers.txt" "$recorded"
    else
        ask_again "$recorded" "$series"
        hold "$recorded" "$work/$series/answers.txt" || exit 1
        printf 'as recorded\n'
    fi
done
[ -z "$scenarios" ] || exit 0

step "Negative controls: an answer of Linux changed, one that is missing, one that is none, and a complaint"
answered=$work/$series/answers.txt
sed 's/^T01 .*/T01 runs=2 state=0/' "$recorded" >"$temporary/changed.txt"
expect_failure 'otherwise than recorded' hold "$temporary/changed.txt" "$answered"
expect_failure 'not answer the same in every boot' agree "$temporary/changed.txt" "$answered"
sed '/^T01 /d' "$recorded" >"$temporary/missing.txt"
expect_failure 'otherwise than recorded' hold "$temporary/missing.txt" "$answered"
sed 's/^T01 .*/T01 HANG a gate/' "$answered" >"$temporary/hang.txt"
expect_failure 'a scenario hangs' no_hang "$temporary/hang.txt"
printf 'WARNING: CPU: 1 PID: 60 at kernel/workqueue.c\n' >"$temporary/console.txt"
expect_failure 'complains of a scenario that is no misuse' quiet tasks "$temporary/console.txt"
quiet misuse "$temporary/console.txt"
$our_side || exit 0

# asked OLDER NEWER: what was asked, and of whom.
asked() {
    cargo run --quiet --locked -p bottomhalf-conformance --bin asked -- \
        shim-api.md docs/facts/linux.md "$1" "$2"
}
fetch Cargo.toml

step "Our side, over $seeds seeds"
CONFORMANCE_SEEDS=$seeds cargo test --locked -p bottomhalf-conformance

step "Negative control: a row that no kernel was asked"
grep -v '^T01 ' "$work/6.1/answers.txt" >"$temporary/older.txt"
grep -v '^T01 ' "$work/6.12/answers.txt" >"$temporary/newer.txt"
expect_failure 'T01 was asked of no kernel' asked "$temporary/older.txt" "$temporary/newer.txt"

step "What was asked"
asked "$work/6.1/answers.txt" "$work/6.12/answers.txt"
