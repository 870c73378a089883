#!/usr/bin/env bash
# ci/msrv.sh: what can be said about `rust-version` without a compiler of that version.
# Shown: no code of the workspace, tests and the KMDF backend included, uses an item of core, alloc or std
# that is younger than `rust-version` (clippy's incompatible_msrv, as an error); no crate of the lock files
# asks for a younger compiler; the manifests agree on the version; none of the syntax listed below, which is
# younger, is used. Not shown: that a compiler of that version accepts the rest of the syntax, infers the
# same types and has none of its own bugs in the way; and nothing is known of a crate that states no version.
# Shows that a young function, a young dependency and young syntax are found.
# Needs rustup and a C linker. Exit: 0 good, 1 something is too young, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

export CARGO_TERM_COLOR=never

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || fail "Cargo.toml states no rust-version"

# Syntax that became stable after 1.91, as extended regular expressions over code without comments; since when.
readonly young_syntax=('cfg_select!' '\bif let [^{]* =>')
readonly stable_since=(1.95 1.95)

# lint TREE TARGET: clippy over all code of the workspace and, by the stand-in, over the KMDF backend.
lint() {
    local rules=$temporary/clippy features
    mkdir -p "$rules"
    printf 'check-incompatible-msrv-in-tests = true\n' >"$rules/clippy.toml"
    CLIPPY_CONF_DIR=$rules cargo clippy --manifest-path "$1/Cargo.toml" --target-dir "$2" --offline --locked \
        --workspace --all-targets --quiet -- -D clippy::incompatible_msrv || return 1
    [ "$1" = "$root" ] || return 0
    for features in "" alloc; do
        RUSTFLAGS="--cfg wdk_standin" RUSTC_WRAPPER=$(command -v clippy-driver) \
            CLIPPY_ARGS="-Dclippy::incompatible_msrv__CLIPPY_HACKERY__" \
            cargo check --manifest-path "$1/cross/Cargo.toml" --target-dir "$root/cross/target/msrv" \
            --offline --locked --quiet -p backend --features "$features" || return 1
    done
}

# stated: name, version and rust-version ("-" if none) of each package in cargo's metadata.
stated() {
    sed -e 's/{"name":"\([^"]*\)","version":"\([^"]*\)","id":/\npackage \1 \2\n/g' \
        -e 's/"rust_version":\("[^"]*"\|null\)/\nrust \1\n/g' |
        awk '$1 == "package" { name = $2 " " $3 }
            $1 == "rust" && name { gsub("\"", "", $2); print name, ($2 == "null" ? "-" : $2); name = "" }'
}

# none_younger LIST: fails and names each package that asks for more than $version.
none_younger() {
    awk -v most="$version" '
        function number(text, part) { split(text, part, "."); return part[1] * 1000000 + part[2] * 1000 + part[3] }
        $3 != "-" && number($3) > number(most) { print $1 " " $2 " needs Rust " $3 ", more than " most; amiss = 1 }
        END { exit amiss }' "$1"
}

# no_young_syntax TREE: fails and shows each line of Rust with syntax of the list.
no_young_syntax() {
    local found=0 index file
    for index in "${!young_syntax[@]}"; do
        while IFS= read -r -d '' file; do
            if sed -e 's://.*$::' -e 's:"[^"]*":"":g' "$file" | grep -nE -- "${young_syntax[index]}" |
                sed "s:^:${file#"$1"/}\:: "; then
                printf '    this syntax is stable since Rust %s only\n' "${stable_since[index]}"
                found=1
            fi
        done < <(find "$1" -path "$1/target" -prune -o -path "$1/cross/target" -prune -o \
            -name '*.rs' -print0)
    done
    return "$found"
}

step "fetch"
fetch Cargo.toml
fetch cross/Cargo.toml

step "the manifests say $version"
for manifest in Cargo.toml mock/Cargo.toml cross/Cargo.toml; do
    grep -qE "^rust-version(\.workspace = true| = \"$version\")$" "$manifest" ||
        fail "$manifest does not say rust-version = \"$version\""
done
grep -qF "$version or later" CONTRIBUTING.md || fail "CONTRIBUTING.md does not say: $version or later"

step "no dependency asks for more than $version"
for manifest in Cargo.toml cross/Cargo.toml; do
    cargo metadata --manifest-path "$manifest" --format-version 1 --offline --locked --all-features | stated
done | sort -u >"$temporary/stated"
[ "$(wc -l <"$temporary/stated")" -gt 20 ] || fail "cargo's metadata could not be read"
none_younger "$temporary/stated"
printf '%s packages, of which these state no version:' "$(wc -l <"$temporary/stated")"
awk '$3 == "-" { printf " %s", $1 }' "$temporary/stated"
printf '\n'

step "no code uses a younger item of the standard library"
lint "$root" "$root/target"

step "no code uses younger syntax of the list"
no_young_syntax "$root"

step "negative controls"
control_tree
# `Vec::push_mut` is stable since 1.95.
cat >>"$control/tree/mock/src/lib.rs" <<'RUST'

/// Planted.
pub fn planted(list: &mut Vec<u32>) -> &mut u32 {
    list.push_mut(1)
}
RUST
expect_failure "stable since" lint "$control/tree" "$control/target"
{ cat "$temporary/stated" && printf 'planted 1.0.0 1.92\n'; } >"$temporary/younger"
expect_failure 'planted 1.0.0 needs Rust 1.92, more than' none_younger "$temporary/younger"
control_tree
printf 'fn planted(x: Option<u32>) -> u32 {\n    match x {\n        Some(y) if let 1 = y => 1,\n        _ => 0,\n    }\n}\n' \
    >"$control/tree/src/planted.rs"
expect_failure 'src/planted.rs:3:' no_young_syntax "$control/tree"
printf 'cfg_select! {}\n' >"$control/tree/src/planted.rs"
expect_failure 'src/planted.rs:1:cfg_select!' no_young_syntax "$control/tree"

printf '\nmsrv: good, as far as a younger compiler can tell about %s\n' "$version"
