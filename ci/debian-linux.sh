# Debian's cloud kernels, unpacked: for the scripts that build modules and boot them. Sourced after ci/lib.sh,
# never run. Kernels and headers are downloaded and unpacked, never installed, under $ORACLE_CACHE (default
# target/oracle/cache), which several scripts may share.
# shellcheck shell=bash
# shellcheck disable=SC2154
set -euo pipefail
cache=$(realpath -m "${ORACLE_CACHE:-$root/target/oracle/cache}")
mkdir -p "$cache"

cannot_fetch() {
    cat "$temporary/fetch.log"
    printf '%s: COULD NOT FETCH %s; nothing is known about the code\n' "$(basename "$0")" "$1" >&2
    exit "$CANNOT_FETCH"
}

# need COMMAND PACKAGE: installs the package if there is no such command.
updated=false
need() {
    command -v "$1" >/dev/null && return
    $updated || apt-get update >"$temporary/fetch.log" 2>&1 || cannot_fetch "the lists of packages"
    updated=true
    apt-get install -y --no-install-recommends "$2" >>"$temporary/fetch.log" 2>&1 || cannot_fetch "$2"
}

# depends PACKAGE PATTERN: the last dependency of a package whose name matches.
depends() { apt-cache depends "$1" | sed -n "s/^ *Depends: \($2\)\$/\1/p" | tail -n 1; }

# packages SERIES: the packages of the newest cloud kernel of a series, as the lists name them.
packages() {
    local infix='' image headers
    [ "$1" = 6.1 ] || infix=-$1
    image=$(depends "linux-image$infix-cloud-amd64" 'linux-image-[0-9].*') && [ -n "$image" ] || return 1
    headers=linux-headers-${image#linux-image-}
    echo "$image" "$headers" "$(depends "$headers" 'linux-headers-.*-common')" \
        "$(depends "$headers" 'linux-kbuild-.*')"
}

# download SERIES: as the current user, because the one that apt drops to cannot write here.
download() {
    local names
    names=$(packages "$1") || return 1
    # shellcheck disable=SC2086
    apt-get -o APT::Sandbox::User="$(id -un)" download $names
}

# unpack SERIES: fills $cache/SERIES, once; several scripts may share the cache.
unpack() {
    local series=$1 package
    exec 9>"$cache/lock"
    flock 9
    if [ ! -f "$cache/$series/complete" ]; then
        rm -rf "${cache:?}/$series"
        mkdir -p "$temporary/packages-$series" "$cache/$series"
        cd "$temporary/packages-$series"
        if ! download "$series" >"$temporary/fetch.log" 2>&1; then
            # The lists may be missing or older than what the archive still has.
            { apt-get update && download "$series"; } >>"$temporary/fetch.log" 2>&1 || cannot_fetch "Linux $series"
        fi
        for package in *.deb; do
            case $package in
            linux-image-*) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$cache/$series" --wildcards './boot/vmlinuz-*' ;;
            *) dpkg-deb -x "$package" "$cache/$series" ;;
            esac
        done
        cd "$root"
        touch "$cache/$series/complete"
    fi
    # The headers of a flavour name the common ones by an absolute path.
    sed -i "s#^include .*/usr/src/#include $cache/$series/usr/src/#" "$(headers "$series")/Makefile"
    exec 9>&-
}
headers() { echo "$cache/$1"/usr/src/linux-headers-*-cloud-amd64; }
release() { basename "$(headers "$1")" | sed 's/^linux-headers-//'; }

# wait_for FILE TEXT SECONDS PROCESS: until the text is in the file; not if the process ends or takes too long.
wait_for() {
    local tenths=$(($3 * 10))
    while ! grep -qF -- "$2" "$1"; do
        kill -0 "$4" 2>/dev/null || { grep -qF -- "$2" "$1"; return; }
        [ "$((tenths--))" -gt 0 ] || return 1
        sleep 0.1
    done
}
