#!/usr/bin/env bash
# ci/package.sh: packs both crates that are published as for a release, unpacks them outside the repository,
# and builds them and their tests there with each set of features a user chooses; kmdf-mock is found in its own
# unpacked package, since it is not in the registry. Runs the README's test of the unpacked crate. Checks that each package has
# its README and licences, that every relative link of its documents leads to a packed file, and that no file
# is packed that is not of the kinds below. Prints the sizes.
# Shows that a stray file, a dead link, a missing licence and a missing source file are found.
# Needs rustup, a C linker and tar. Exit: 0 good, 1 a package is not right, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never CARGO_PROFILE_DEV_DEBUG=0

# What may be packed, as extended regular expressions; the rest is stray.
readonly by_cargo='Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json'
readonly texts='README\.md|LICENSE-MIT|LICENSE-APACHE'
readonly library_files="$by_cargo|$texts|CHANGELOG\.md|CONTRIBUTING\.md|shim-api\.md|docs/.+\.md|src/.+\.rs|tests/.+\.rs|examples/.+\.(rs|pcap)"
readonly mock_files="$by_cargo|$texts|layout\.tsv|src/.+\.rs|tests/.+\.rs"

# pack TREE WHERE: both packages of TREE, unpacked to WHERE/bottomhalf and WHERE/kmdf-mock.
pack() {
    local crate file
    rm -rf "$2"
    mkdir -p "$2"
    cargo package --manifest-path "$1/Cargo.toml" --package bottomhalf --package kmdf-mock --no-verify --allow-dirty --offline \
        --target-dir "$2/target" >"$2/log" 2>&1 || { cat "$2/log" && return 1; }
    # The tests that check the repository are left out on purpose.
    if grep '^warning' "$2/log" | grep -vE 'ignoring test `(c_headers|coverage|facts|tidy)`'; then return 1; fi
    for crate in bottomhalf kmdf-mock; do
        file=$(echo "$2/target/package/$crate"-*.crate)
        mkdir "$2/$crate"
        tar -C "$2/$crate" --strip-components 1 -xzf "$file" || return 1
        printf '%s: %s bytes, %s files\n' "$(basename "$file")" "$(stat -c %s "$file")" \
            "$(find "$2/$crate" -type f | wc -l)"
    done
}

# whole WHERE CRATE KINDS: README and licences are there, and nothing else than KINDS.
whole() {
    local name
    for name in README.md LICENSE-MIT LICENSE-APACHE; do
        [ -s "$1/$2/$name" ] || { printf '%s is not packed in %s\n' "$name" "$2" && return 1; }
    done
    if (cd "$1/$2" && find . -type f -printf '%P\n') | grep -vxE "$3"; then
        printf 'these files are stray in the package of %s: exclude them in its Cargo.toml, or list their kind in %s\n' \
            "$2" "ci/package.sh"
        return 1
    fi
}

# links WHERE CRATE: each relative link of a document leads to a packed file. A link of the library into
# mock/ leads into the other package.
links() {
    local document link path amiss=0
    while IFS= read -r document; do
        while IFS= read -r link; do
            case $link in http://* | https://* | '#'*) continue ;; esac
            path=$(dirname "$document")/${link%%#*}
            path=$(realpath -m --relative-to="$1/$2" "$1/$2/$path")
            case $2/$path in bottomhalf/mock/*) path=../kmdf-mock/${path#mock/} ;; esac
            case $2/$path in
            # The C face, and what is about driver images, are in the repository only, where the registry sends the
            # links of a README.
            bottomhalf/tests/conformance/* | bottomhalf/tests/drivers/* | bottomhalf/examples/c-driver/* | \
                bottomhalf/docs/debugging.md | bottomhalf/docs/windows-first-run.md)
                [ ! -e "$root/$path" ] || continue
                ;;
            esac
            if [ ! -e "$1/$2/$path" ]; then
                printf '%s: %s links to %s, which is not packed\n' "$2" "$document" "$link"
                amiss=1
            fi
        done < <(awk '/^ *```/ { code = !code } !code' "$1/$2/$document" |
            grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\((.*)\)$/\1/')
    done < <(cd "$1/$2" && find . -name '*.md' -printf '%P\n')
    return "$amiss"
}

# in_package WHERE CRATE SUBCOMMAND...: cargo in an unpacked package.
in_package() {
    local where=$1 crate=$2 subcommand=$3
    shift 3
    (cd "$where/$crate" && cargo "$subcommand" --offline --quiet --target-dir "$where/built" \
        --config "patch.crates-io.kmdf-mock.path=\"$where/kmdf-mock\"" "$@")
}

# builds WHERE: what a user builds, and the tests, which need the simulator.
builds() {
    local features
    (cd "$1/kmdf-mock" && cargo test --offline --quiet --target-dir "$1/built" --no-run --features sim) || return 1
    (cd "$1/kmdf-mock" && cargo build --offline --quiet --target-dir "$1/built") || return 1
    for features in "" alloc kmdf mock sim alloc,sim; do
        in_package "$1" bottomhalf build --features "$features" || return 1
        printf 'built with: %s\n' "${features:-default features}"
    done
    in_package "$1" bottomhalf test --no-run --features alloc,sim || return 1
    in_package "$1" bottomhalf test --features alloc,sim --test readme
}

step "fetch"
fetch Cargo.toml

step "pack"
cmp LICENSE-MIT mock/LICENSE-MIT
cmp LICENSE-APACHE mock/LICENSE-APACHE
packed=$temporary/packed
pack "$root" "$packed"

step "what is in the packages"
whole "$packed" bottomhalf "$library_files"
whole "$packed" kmdf-mock "$mock_files"
links "$packed" bottomhalf
links "$packed" kmdf-mock

step "build and test-build the unpacked crates in $(dirname "$packed" | sed 's:/[^/]*$::')"
builds "$packed"

step "negative controls"
# A copy outside the repository, so that cargo takes the files that are there for those to pack.
tree=$temporary/tree
mkdir "$tree"
tar --exclude=./target --exclude=./cross/target --exclude=./.git -cf - . | tar -C "$tree" -xf -
printf 'planted\n' >"$tree/docs/planted.txt"
pack "$tree" "$temporary/control" >/dev/null
expect_failure 'docs/planted.txt' whole "$temporary/control" bottomhalf "$library_files"
printf '\n[dead](docs/planted.md)\n' >>"$temporary/control/bottomhalf/shim-api.md"
expect_failure 'shim-api.md links to docs/planted.md, which is not packed' links "$temporary/control" bottomhalf
rm "$temporary/control/kmdf-mock/LICENSE-MIT"
expect_failure 'LICENSE-MIT is not packed in kmdf-mock' whole "$temporary/control" kmdf-mock "$mock_files"
sed -i 's:^exclude = \["\.\*",:& "/src/sync/native.rs",:' "$tree/Cargo.toml"
pack "$tree" "$temporary/control" >/dev/null
expect_failure 'file not found for module `native`' in_package "$temporary/control" bottomhalf build

printf '\npackage: good\n'
