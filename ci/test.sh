#!/usr/bin/env bash
# ci/test.sh [--update]: runs the README's test command and asserts that every test binary ran, that no
# binary of a tests/ folder was empty, that no test was ignored, and that the binaries are those of
# ci/test-binaries.txt. With --update it writes that list anew from the manifests and runs nothing.
# Shows that a binary that did not run, one that ran no test, and an ignored test are found.
# Needs rustup and a C linker. Exit: 0 good, 1 a test failed or did not run.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never
readonly command=(cargo test --workspace)
readonly list=ci/test-binaries.txt

# The binaries that the manifests make, as cargo announces them: path in the package, crate name.
# Reads the compact JSON of cargo line by line, an object each.
from_manifests() {
    cargo metadata --no-deps --format-version 1 --offline | tr '{' '\n' | awk '
        function field(name) {
            if (!match($0, "\"" name "\":\"[^\"]*\"")) return ""
            return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
        }
        /"crate_types":/ {
            path = field("src_path"); name = field("name"); gsub("-", "_", name)
            target[++count] = path "\t" name "\t" ($0 ~ /"kind":\["test"\]/) "\t" \
                ($0 ~ /"test":true/) "\t" ($0 ~ /"doctest":true/)
        }
        # The manifest of a package comes after its targets.
        /"manifest_path":/ {
            folder = field("manifest_path"); sub("Cargo.toml$", "", folder)
            for (i = 1; i <= count; i++) {
                split(target[i], part, "\t")
                path = substr(part[1], length(folder) + 1)
                if (part[4]) print (part[3] ? "" : "unittests ") path " " part[2]
                if (part[5]) print "Doc-tests " part[2]
            }
            count = 0
        }' | LC_ALL=C sort
}

# The binaries that a log of cargo test announces, in the same form.
from_log() {
    sed -n -e 's/^ *Running \(.*\) (.*\/\([A-Za-z0-9_]*\)-[0-9a-f]*\(\.exe\)\{0,1\})$/\1 \2/p' \
        -e 's/^ *\(Doc-tests .*\)$/\1/p' "$1" | LC_ALL=C sort
}

# every_binary_ran LOG: fails and says what is amiss.
every_binary_ran() {
    diff "$list" <(from_log "$1") || {
        printf 'the binaries that ran (>) are not those of %s (<)\n' "$list"
        return 1
    }
    awk '
        /^ *(Running|Doc-tests) / { binary = $1 == "Running" ? $2 : $1 " " $2 }
        /^running 0 tests$/ && binary ~ /^tests\// { print binary " ran no test"; amiss = 1 }
        /^test result: .* [1-9][0-9]* ignored;/ { print binary " ignored a test: " $0; amiss = 1 }
        END { exit amiss }' "$1"
}

if [ "${1:-}" = --update ]; then
    from_manifests >"$list"
    printf '%s test binaries\n' "$(wc -l <"$list")"
    exit
fi

step "the list is that of the manifests"
[ -s "$list" ] || fail "$list is missing or empty: run ci/test.sh --update"
diff "$list" <(from_manifests) ||
    fail "$list (<) does not fit the manifests (>): run ci/test.sh --update"
if [ -s README.md ]; then
    grep -qF -- "${command[*]}" README.md || fail "README.md does not say: ${command[*]}"
fi

step "${command[*]}"
mkdir -p target
log=target/test.log
"${command[@]}" 2>&1 | tee "$log"

step "every binary ran"
every_binary_ran "$log"

step "negative controls"
grep -v "Running tests/abi.rs" "$log" >"$temporary/missing.log"
expect_failure '< tests/abi.rs abi' every_binary_ran "$temporary/missing.log"
awk '/Running tests\/abi.rs/ { here = 1 } here && sub(/^running [0-9]+ tests/, "running 0 tests") { here = 0 } 1' \
    "$log" >"$temporary/empty.log"
expect_failure 'tests/abi.rs ran no test' every_binary_ran "$temporary/empty.log"
awk '!done && sub(/ 0 ignored;/, " 1 ignored;") { done = 1 } 1' "$log" >"$temporary/ignored.log"
expect_failure 'ignored a test: test result: ok.' every_binary_ran "$temporary/ignored.log"

printf '\ntest: good, %s test binaries ran\n' "$(wc -l <"$list")"
