#!/bin/sh
# The nic example and tshark must agree on a capture: packets, bytes, flows (each with its packets
# and bytes) and, per protocol, good, bad, unverified and absent checksums. Any difference fails.
#
#   ci/nic-vs-tshark.sh [FILE…]       default: the embedded capture
#   ci/nic-vs-tshark.sh --fuzz N      also N damaged and cut variants of the default capture (editcap)
#   ci/nic-vs-tshark.sh --control     the negative control alone
#
# The negative control runs with the default and with --fuzz as well: tshark reads the capture, the
# example reads a copy in which one byte of one packet differs, and the comparison must fail.
#
# The definitions are in examples/nic/packet.rs. Three of tshark's habits are switched off for them:
# reassembly (a fragment stays a fragment), the guess that a total length of zero means segmentation
# offload, and name resolution. Of each frame, only the outermost IP header and what follows it
# count: an ICMP error quotes another packet, whose fields tshark lists too.
# tshark is installed with apt if it is absent.
set -eu
cd "$(dirname "$0")/.."
capture=examples/nic/default.pcap
options= # for the example

if ! command -v tshark >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends tshark >/dev/null
fi
cargo build --quiet --release --example nic
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# What tshark says of $1, one fact a line.
tshark_facts() {
    tshark -n -r "$1" \
        -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
        -o ip.defragment:FALSE -o ipv6.defragment:FALSE -o ip.tso_support:FALSE \
        -T fields -E separator='|' -E occurrence=a -E aggregator=, \
        -e frame.protocols -e frame.len -e ip.proto -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst \
        -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport \
        -e ip.checksum.status -e tcp.checksum.status -e udp.checksum.status \
        -e icmp.checksum.status -e icmpv6.checksum.status \
        -e ipv6.nxt -e ipv6.hopopts.nxt -e ipv6.fraghdr.nxt \
        -e ipv6.dstopts.nxt 2>"$work/tshark.log" | awk -F'|' '
    function first(list, parts) { split(list, parts, ","); return parts[1] }
    # tshark writes the last 32 bits of an otherwise zero IPv6 address in decimal, Rust in hexadecimal.
    function address(text, part) {
        if (text !~ /^::[0-9]+\./) return text
        split(substr(text, 3), part, ".")
        return sprintf("::%x:%x", part[1] * 256 + part[2], part[3] * 256 + part[4])
    }
    function number(value) { return value == "" ? 0 : value }
    # tshark: 0 bad, 1 good, 2 unverified, 3 not present, 4 illegal.
    function verdict(status) {
        if (status == "") return "unverified"
        return status == 1 ? "good" : status == 2 ? "unverified" : status == 3 ? "absent" : "bad"
    }
    {
        packets++; bytes += $2
        depth = split($1, layer, ":")
        for (at = 2; at <= depth && (layer[at] == "ethertype" || layer[at] == "vlan" || layer[at] == "ieee8021ad"); at++) ;
        network = layer[at]
        protocol = "non-ip"; ip = transport = "absent"; key = ""
        if (network == "ip" && $3 != "" && $5 != "") {
            next_header = first($3); source = first($4); destination = first($5)
            ip = verdict(first($12)); at++
            name = next_header == 6 ? "tcp" : next_header == 17 ? "udp" : next_header == 1 ? "icmp" : "other-ip"
        } else if (network == "ipv6" && $7 != "") {
            next_header = first($17); source = address(first($6)); destination = address(first($7))
            delete seen
            for (at++; at <= depth; at++) {
                field = layer[at] == "ipv6.hopopts" ? 18 : layer[at] == "ipv6.fraghdr" ? 19 : layer[at] == "ipv6.dstopts" ? 20 : 0
                if (!field || at == depth) break
                split($field, list, ",")
                if (list[++seen[field]] == "") break
                next_header = list[seen[field]]
            }
            name = next_header == 6 ? "tcp" : next_header == 17 ? "udp" : next_header == 58 ? "icmpv6" : "other-ip"
        } else name = ""
        if (name != "") {
            protocol = name
            # A dissector that rejects the rest of a message leaves its fields and loses its name.
            shown = layer[at] == name || layer[at] == "data"
            sport = dport = 0
            if (name != "other-ip") transport = "unverified"
            if (shown && name == "tcp") { sport = number(first($8)); dport = number(first($9)); transport = verdict(first($13)) }
            if (shown && name == "udp") { sport = number(first($10)); dport = number(first($11)); transport = verdict(first($14)) }
            if (shown && name == "icmp") transport = verdict(first($15))
            if (shown && name == "icmpv6") transport = verdict(first($16))
            key = next_header " " source " " sport " " destination " " dport
            flow_packets[key]++; flow_bytes[key] += $2
        }
        protocol_packets[protocol]++; protocol_bytes[protocol] += $2
        checksum[protocol " " transport]++; checksum["ip-header " ip]++
    }
    function verdicts(name) {
        return checksum[name " good"] + 0 " " checksum[name " bad"] + 0 " " checksum[name " unverified"] + 0 " " checksum[name " absent"] + 0
    }
    END {
        print "total", packets + 0, bytes + 0
        print "ip-header", verdicts("ip-header")
        count = split("tcp udp icmp icmpv6 other-ip non-ip", names, " ")
        for (i = 1; i <= count; i++)
            print "protocol", names[i], protocol_packets[names[i]] + 0, protocol_bytes[names[i]] + 0, verdicts(names[i])
        for (key in flow_packets) print "flow", key, flow_packets[key], flow_bytes[key]
    }' | sort
    if grep -v -e '^Running as user' -e '^$' "$work/tshark.log" >&2; then
        echo "nic-vs-tshark: tshark complains about $1" >&2
        exit 1
    fi
}

# The same lines from the example's report. Every record of it is on a line of its own.
nic_facts() {
    # shellcheck disable=SC2086 # a list of options
    target/release/examples/nic "$1" $options --json >"$work/nic.json" || {
        echo "nic-vs-tshark: the example fails on $1" >&2
        exit 1
    }
    tr -d '{}[]"' <"$work/nic.json" | awk -F, '
    { for (i = 1; i <= NF; i++) { split($i, pair, ": *"); key[i] = pair[1]; value[i] = substr($i, length(pair[1]) + 2); sub(/^ */, "", value[i]); sub(/^ */, "", key[i]) } }
    key[1] == "delivered" { print "total", value[1], value[2] }
    key[1] == "ip_header" { print "ip-header", value[2], value[3], value[4], value[5] }
    key[1] == "protocol" { print "protocol", value[1], value[2], value[3], value[4], value[5], value[6], value[7] }
    key[1] == "flow" { print "flow", value[1], value[2], value[3], value[4], value[5], value[6], value[7] }
    ' | sort
}

# Succeeds if tshark on $1 and the example on $2 agree; shows the difference otherwise.
compare() {
    tshark_facts "$1" >"$work/tshark.facts"
    nic_facts "$2" >"$work/nic.facts"
    [ "$(wc -l <"$work/nic.facts")" -ge 8 ] || { echo "nic-vs-tshark: the example reported nothing" >&2; return 1; }
    diff "$work/tshark.facts" "$work/nic.facts" >"$work/diff"
}

check() { # LABEL FILE
    if compare "$2" "$2"; then
        echo "$1: equal ($(sed -n 's/^total //p' "$work/nic.facts" | awk '{ print $1 " packets, " $2 " bytes" }')," \
            "$(grep -c '^flow' "$work/nic.facts") flows, bad checksums:" \
            "$(awk '/^ip-header/ { printf "ip %d", $3 } /^protocol/ && $2 ~ /^(tcp|udp|icmp|icmpv6)$/ { printf ", %s %d", $2, $6 }' "$work/nic.facts"))"
    else
        echo "$1: tshark (<) and the example (>) differ:" >&2
        head -n 40 "$work/diff" >&2
        exit 1
    fi
}

# Flips the last byte of the first whole packet that $2 selects; $1 is what the difference must name.
control_of() { # LINE FILTER
    at=$(tshark -n -r "$capture" -T fields -e frame.cap_len -e frame.number 2>/dev/null |
        awk -v wanted="$(tshark -n -r "$capture" -Y "$2" -T fields -e frame.number 2>/dev/null | head -n 1)" '
        BEGIN { at = 24 } { at += 16 + $1 } $2 == wanted { print at - 1; exit }')
    byte=$(od -A n -t u1 -j "$at" -N 1 "$capture" | tr -d ' ')
    cp "$capture" "$work/flipped.pcap"
    # shellcheck disable=SC2059 # the byte is the format
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$work/flipped.pcap" bs=1 seek="$at" conv=notrunc 2>/dev/null
    [ "$(cmp -l "$capture" "$work/flipped.pcap" | wc -l)" -eq 1 ] ||
        { echo "control: not exactly one byte was flipped" >&2; exit 1; }
    if compare "$capture" "$work/flipped.pcap" || ! grep -q "^> $1 " "$work/diff"; then
        echo "control: byte $at ($1) differs and the comparison does not see it" >&2
        exit 1
    fi
}

# The default capture on both engines, and a live run long enough that every kind of callback occurs.
default() {
    check "default capture, live" "$capture"
    callbacks=$(grep '"counters": "callbacks"' "$work/nic.json")
    if echo "$callbacks" | grep -q ': 0[,}]' ||
        ! echo "$callbacks" | grep -q '"WDFDPC": .*"WDFWORKITEM": .*"WDFTIMER": '; then
        echo "callbacks: not every kind occurred: $callbacks" >&2
        exit 1
    fi
    options="--seed 1"
    check "default capture, simulated" "$capture"
    options=
}

control() {
    control_of 'protocol tcp' 'tcp.len > 0 && !vlan && !icmp && !icmpv6'
    control_of 'protocol udp' 'udp.length > 8 && !vlan && !icmp && !icmpv6'
    control_of 'protocol icmp' 'icmp.type == 8'
    control_of 'protocol icmpv6' 'icmpv6.type == 128'
    echo "control: one flipped byte in a tcp, udp, icmp and icmpv6 packet is seen each time"
}

# Random damage (one byte in a hundred), and frames cut behind the fixed IPv4 header. The length is odd:
# of a fragment cut exactly behind its IPv6 fragment header, tshark does not name what it is part of.
fuzz() { # N
    for seed in $(seq 1 "$1"); do
        editcap -E 0.01 --seed "$seed" "$capture" "$work/fuzz.pcap" >/dev/null 2>&1
        check "damaged, seed $seed" "$work/fuzz.pcap"
        length=$((37 + seed * 8 % 80))
        editcap -F pcapng -s "$length" "$capture" "$work/cut.pcapng" >/dev/null 2>&1
        check "cut to $length bytes" "$work/cut.pcapng"
    done
}

case ${1-} in
    --control) control ;;
    --fuzz) default; fuzz "$2"; control ;;
    '') default; control ;;
    *) for file in "$@"; do check "$file" "$file"; done ;;
esac
