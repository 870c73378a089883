#!/usr/bin/env bash
# ci/coverage.sh [--write]: joins the log of the test run, target/test.log, with the doc comments of the tests:
# every row of Linux, every one of Linux's functions and every fact that is asked for has a test that ran and
# passed, and docs/coverage.md is the list of them. With --write it writes that list. Runs ci/test.sh first if
# there is no log, or one that is older than the sources.
# Shows that a test that did not run, one that failed, and an untrue line of the list are found.
# Needs rustup and a C linker. Exit: 0 good, 1 something has no test or the list is not true.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly results=$root/target/test.log list=$root/docs/coverage.md

# joined LOG: the comparison, by the test that makes it.
joined() {
    COVERAGE_LOG=$1 cargo test --quiet --package bottomhalf --test coverage -- --nocapture \
        every_row_and_function_has_a_test_and_the_list_is_true
}

if [ "${1:-}" = --write ]; then
    [ -s "$results" ] || fail "there is no $results: run cargo test --workspace 2>&1 | tee target/test.log"
    export COVERAGE=write
    joined "$results"
    printf '%s lines\n' "$(wc -l <"$list")"
    exit
fi

step "the log of the test run"
if [ ! -s "$results" ] || [ -n "$(find src mock/src tests mock/tests capi/tests examples -name '*.rs' -newer "$results" -print -quit)" ]; then
    bash ci/test.sh
fi
printf '%s tests passed\n' "$(grep -c '^test .* \.\.\. ok$' "$results")"

step "every row and function has a test that passed, and docs/coverage.md says which"
joined "$results"

step "negative controls"
# The first test of the list that stands alone in its row.
read -r file name < <(sed -n 's/^| [A-Z0-9-]* | `\(tests\/[a-z_]*\.rs\)::\([a-z0-9_]*\)` |$/\1 \2/p' "$list" | head -n 1)
[ -n "$name" ] || fail "$list names no test"
grep -v "^test \(.*::\)\{0,1\}$name \.\.\. ok$" "$results" >"$temporary/missing.log"
expect_failure 'has no test that passes' joined "$temporary/missing.log"
expect_failure "$file::$name stands for" joined "$temporary/missing.log"
sed "s/^\(test \(.*::\)\{0,1\}$name \.\.\. \)ok$/\1FAILED/" "$results" >"$temporary/failed.log"
expect_failure 'but did not pass' joined "$temporary/failed.log"
cp "$list" "$temporary/coverage.md"
trap 'cp "$temporary/coverage.md" "$list"; rm -rf "$temporary"' EXIT
sed -i "0,/::$name/s//::${name}_planted/" "$list"
expect_failure 'docs/coverage.md is not true' joined "$results"

printf '\ncoverage: good\n'
