#!/bin/sh
# Removes the nic driver at a random moment of many simulated schedules.
#
#   ci/nic-removal.sh [FIRST [LAST]]      default: seeds 1 to 200
#
# Each seed decides the schedule, and here also the moment of the removal, the number of CPUs and the
# rule for works. The example itself checks what must hold and fails if it does not: delivered +
# dropped by remove + unread = total, per item accepted = run + cancelled, nothing pending, nothing runs
# or holds the driver after remove has returned, tasklet and ordered queue never overlap. This script
# checks the sum once more, from the outside.
#
# The negative control: a removal that forgets the watchdog must be found out, with every rule that it
# breaks.
set -eu
cd "$(dirname "$0")/.."
first=${1-1}
last=${2-200}
packets=1500

cargo build --quiet --release --example nic
nic=target/release/examples/nic
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# A number below $2 that $1 decides (a linear congruential generator, advanced thrice).
pick() {
    echo "$1 $2" | awk '{ x = $1; for (i = 0; i < 3; i++) x = (x * 1103515245 + 12345) % 2147483648; print int(x / 65536) % $2 }'
}

passed=0
failed=0
partial=0
seed=$first
while [ "$seed" -le "$last" ]; do
    # Sometimes beyond the last packet: then the removal follows the last delivery.
    set -- --seed "$seed" --packets "$packets" --remove-at $((1 + $(pick "$seed" $((packets + packets / 10))))) \
        --cpus $((1 + $(pick $((seed + 7919)) 4)))
    [ $((seed % 2)) -eq 0 ] && set -- "$@" --non-reentrant
    if "$nic" "$@" --json >"$work/out" 2>"$work/err" &&
        tr -d '{},' <"$work/out" | awk -v packets="$packets" '
            $1 == "\"delivered\":" { found = 1; sum = $2 + $6 + $8; total = $10; lost = $6 + $8 }
            END { exit !(found && sum == packets && total == packets) }'
    then
        passed=$((passed + 1))
        grep -q '"dropped_by_remove": 0,' "$work/out" || partial=$((partial + 1))
    else
        failed=$((failed + 1))
        echo "replay: cargo run --release --example nic -- $*"
        sed 's/^/    /' "$work/err"
    fi
    seed=$((seed + 1))
done

# Removals that found frames in the ring or the backlog are the ones that can lose some.
[ $((partial * 4)) -ge "$passed" ] || {
    echo "only $partial of $passed removals found frames to drop: the moments are badly chosen"
    failed=$((failed + 1))
}

if "$nic" --seed "$first" --packets "$packets" --careless >"$work/out" 2>"$work/err"; then
    echo "control: a removal that forgets the watchdog was not found out"
    failed=$((failed + 1))
fi
for rule in 'a queue still holds the driver' 'watchdog outlives remove' 'accepted is not run + cancelled' \
    'pending after remove' 'the shim was busy after remove'; do
    grep -q "broken promise: .*$rule" "$work/err" || {
        echo "control: not said of a removal that forgets the watchdog: $rule"
        failed=$((failed + 1))
    }
done

echo "nic-removal: $passed passed, $failed failed ($partial of them dropped frames)"
[ "$failed" -eq 0 ]
