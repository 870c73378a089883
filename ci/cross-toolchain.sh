#!/usr/bin/env bash
# ci/cross-toolchain.sh DEST: unpacks a compiler and the source of its standard library under DEST, so that
# cargo can build core and alloc for a target of Windows on Linux. They are Debian's packages of the current
# Rust (rustc-web); nothing is installed, and rustup is left as it is. Writes DEST/rustc, which is what
# the variable RUSTC is to name; does nothing if that is there already. Debian 12 on x86-64.
# Needs apt-get and dpkg-deb. Exit: 0 good, 3 could not fetch.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

[ "$#" -eq 1 ] || fail "say where: ci/cross-toolchain.sh DEST"
dest=$(realpath -m "$1")
if [ -x "$dest/rustc" ]; then
    "$dest/rustc" --version
    exit
fi

# depends PACKAGE PATTERN: the last dependency of a package whose name matches.
depends() { apt-cache depends "$1" | sed -n "s/^ *Depends: \($2\)\$/\1/p" | tail -n 1; }

# download: the packages, as the current user, because the one that apt drops to cannot write here.
download() {
    local library llvm
    library=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]*') && [ -n "$library" ] || return 1
    llvm=$(depends "$library" 'libllvm[0-9]*') && [ -n "$llvm" ] || return 1
    apt-get -o APT::Sandbox::User="$(id -un)" download \
        rustc-web libstd-rust-web-dev rust-web-src "$library" "$llvm"
}

mkdir -p "$temporary/packages" "$dest/root"
cd "$temporary/packages"
# The lists may be missing or older than what the archive still has.
if ! download >"$temporary/fetch.log" 2>&1; then
    if ! { apt-get update && download; } >>"$temporary/fetch.log" 2>&1; then
        cat "$temporary/fetch.log"
        printf '%s: COULD NOT FETCH Debian packages; nothing is known about the code\n' "$(basename "$0")" >&2
        exit "$CANNOT_FETCH"
    fi
fi
for package in *.deb; do
    case $package in
    rust-web-src*)
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$dest/root" --wildcards \
            './usr/src/rustc-*/library/*' './usr/lib/rustlib/src*' './usr/src/rustc-*/Cargo.lock'
        ;;
    *) dpkg-deb -x "$package" "$dest/root" ;;
    esac
done
cd "$root"

# Cargo looks at the file's name, so the wrapper is called rustc.
cat >"$temporary/rustc" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH=$dest/root/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec $dest/root/usr/bin/rustc "\$@"
SCRIPT
chmod +x "$temporary/rustc"
mv "$temporary/rustc" "$dest/rustc"
"$dest/rustc" --version
