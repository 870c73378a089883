#!/usr/bin/env bash
# ci/seeds.sh [N]: the random traffic of tests/conservation.rs over N distinct seeds (50000 if not given),
# each with both rules for works, in child processes by batch on all cores. Prints the rate, and for each
# legal transition of a work and of a tasklet how often it was seen under either rule; a transition that is
# not legal fails, and from 50000 seeds on so does a legal one that no schedule has taken, but for those
# that the table calls rare. The command that replays a failing schedule is in the log that is shown.
# Shows that a planted fault, a batch that is missing and a transition that is never taken are found.
# Needs rustup and a C linker. Exit: 0 good, 1 a schedule or a transition failed, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly enough=50000 batch=1000
seeds=${1:-$enough}
[[ $seeds =~ ^[1-9][0-9]*$ ]] || fail "not a number of seeds: $seeds"

# run_batch RULE FIRST COUNT FOLDER: one child process. A failure stops the other batches.
run_batch() {
    local log=$4/$1.$2.log
    if BOTTOMHALF_SEEDS=$2:$3 BOTTOMHALF_HITS=$4/$1.$2.hits \
        "$binary" --exact "$1" --nocapture >"$log" 2>&1; then
        return
    fi
    printf '%s, seeds from %s: failed\n' "$1" "$2"
    grep -vE '^[0-9]+ (work|tasklet|reached) ' "$log"
    return 255
}
export -f run_batch

# campaign SEEDS FOLDER: all batches.
campaign() {
    local first rule count
    mkdir -p "$2"
    for ((first = 0; first < $1; first += batch)); do
        count=$((first + batch > $1 ? $1 - first : batch))
        for rule in self_reentrant non_reentrant; do
            printf '%s %s %s %s\n' "$rule" "$first" "$count" "$2"
        done
    done | xargs -P "$(nproc)" -L 1 bash -c 'run_batch "$@"' run_batch
}

# every_batch_ran SEEDS FOLDER: as many schedules were counted as were asked for.
every_batch_ran() {
    local counted
    counted=$(cat "$2"/*.log | awk '/^conservation, / { sum += $3 } END { print sum + 0 }')
    if [ "$counted" -ne $((2 * $1)) ]; then
        printf '%s schedules ran, and %s were asked for\n' "$counted" $((2 * $1))
        return 1
    fi
}

# table FOLDER ENOUGH: the transitions; fails if one that is not rare was never taken and ENOUGH is 1.
table() {
    cat "$1"/self_reentrant.*.hits >"$1/self"
    cat "$1"/non_reentrant.*.hits >"$1/non"
    awk -v enough="$2" '
        { rare = $NF == "rare"; count = $1; sub(/^[0-9]+ /, ""); sub(/ rare$/, "") }
        $1 == "reached" { reached[$0] += count; next }
        {
            rule = FILENAME ~ /self$/ ? 1 : 2
            seen[$0] = 1; seldom[$0] = rare; legal[$0, rule] = 1; hits[$0, rule] += count
        }
        function cell(key, rule) { return (key, rule) in legal ? hits[key, rule] : "-" }
        END {
            for (key in seen) {
                split(key, part, " ")
                line = sprintf("%-8s %-26s %-14s %-12s %-15s %12s %12s", part[1], part[2], part[3], \
                    part[4], part[5], cell(key, 1), cell(key, 2))
                print line | "LC_ALL=C sort"
                for (rule = 1; rule <= 2; rule++) if ((key, rule) in legal) {
                    all++
                    if (hits[key, rule]) taken++
                    else never[++missing] = (rule == 1 ? "SelfReentrant" : "NonReentrant") ": " key \
                        (seldom[key] ? " (rare)" : "")
                    if (!hits[key, rule] && !seldom[key] && enough) amiss = 1
                }
            }
            close("LC_ALL=C sort")
            printf "\n%d of %d legal transitions were taken\n", taken, all
            for (i = 1; i <= missing; i++) print "never: " never[i] | "LC_ALL=C sort"
            close("LC_ALL=C sort")
            exit amiss
        }' "$1/self" "$1/non"
}

step "build"
fetch Cargo.toml
binary=$(cargo test --offline --locked -p bottomhalf --test conservation --no-run \
    --message-format=json | sed -n 's/.*"executable":"\([^"]*conservation[^"]*\)".*/\1/p' | tail -n 1)
[ -x "$binary" ] || fail "cargo has not said where the test binary is"
export binary

step "$seeds seeds, both rules"
begin=$(date +%s%N)
campaign "$seeds" "$temporary/run"
milliseconds=$((($(date +%s%N) - begin) / 1000000))
every_batch_ran "$seeds" "$temporary/run"

step "transitions: before, after or step, running, by whom; taken under SelfReentrant and NonReentrant"
table "$temporary/run" $((seeds >= enough)) || fail "a legal transition was never taken"

step "negative controls"
BOTTOMHALF_FAULT=RunTwice expect_failure "replay: KMDF_MOCK_SEED=" campaign 100 "$temporary/fault"
campaign 20 "$temporary/few"
rm "$temporary/few/non_reentrant.0.log"
expect_failure "20 schedules ran, and 40 were asked for" every_batch_ran 20 "$temporary/few"
echo "0 work Queue Idle running Engine" >>"$temporary/few/non_reentrant.0.hits"
expect_failure "never: NonReentrant: work Queue Idle running Engine" table "$temporary/few" 1

printf '\nseeds: good, %s seeds, %s schedules in %s.%s s, %s per second on %s cores\n' "$seeds" \
    $((2 * seeds)) $((milliseconds / 1000)) $((milliseconds / 100 % 10)) \
    $((2 * seeds * 1000 / (milliseconds + 1))) "$(nproc)"
