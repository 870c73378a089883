#!/bin/sh
# Makes the default capture of the nic example: real traffic between two network namespaces.
#
#   ci/make-capture.sh [OUT]          default OUT: examples/nic/default.pcap
#
# Two namespaces are joined by a veth pair whose offloads are all off, so that every checksum on
# the wire is a real one. netem flips one random bit in a known share of the frames, on both ends,
# and tcpdump captures whole frames on the receiving end (`nic0`), where the damage shows. The
# traffic: ARP, neighbour discovery and MLD, ping over IPv4 and IPv6 (also larger than the MTU, which
# gives fragments), DNS by dnsmasq, HTTP by busybox, UDP and TCP streams by iperf3, traceroute (its
# answers are ICMP errors that quote the datagram), and a VLAN.
#
# Needs root, and a kernel with veth, netem and 802.1Q. Where the running kernel lacks one of them,
# the same script runs inside a virtual machine with Debian's cloud kernel (QEMU without
# acceleration, about two minutes). Packages are installed with apt if a tool is missing.
#
# The result differs from run to run (ports, timing, which bits flip), so the committed capture is
# the reference: what it contains is what tshark says of it, see ci/nic-vs-tshark.sh.
set -eu

CORRUPT=2%       # share of frames with one flipped bit, on each end
PACKETS_MIN=20000
BYTES_MAX=3000000

client() { ip netns exec client "$@"; }
server() { ip netns exec server "$@"; }

# ---------------------------------------------------------------- the network
offloads_off() { # NETNS DEVICE
    for feature in rx tx sg tso gso gro rxvlan txvlan tx-udp-segmentation; do
        ip netns exec "$1" ethtool -K "$2" "$feature" off >/dev/null 2>&1 || :
    done
    ip netns exec "$1" ethtool -k "$2" | grep -q '^tx-checksumming: off' ||
        { echo "make-capture: $2 still offloads checksums" >&2; exit 1; }
}

network() {
    ip netns add client
    ip netns add server
    ip link add cli0 netns client address 02:00:5e:00:53:01 type veth \
        peer name nic0 netns server address 02:00:5e:00:53:02
    offloads_off client cli0
    offloads_off server nic0
    for end in client:cli0:1 server:nic0:2; do
        ns=${end%%:*}; rest=${end#*:}; dev=${rest%:*}; host=${rest#*:}
        ip -n "$ns" link set lo up
        ip -n "$ns" addr add "192.0.2.$host/24" dev "$dev"
        ip -n "$ns" addr add "2001:db8::$host/64" dev "$dev" nodad
        ip -n "$ns" link set "$dev" up
        ip -n "$ns" link add link "$dev" name vlan5 type vlan id 5
        offloads_off "$ns" vlan5
        ip -n "$ns" addr add "198.51.100.$host/24" dev vlan5
        ip -n "$ns" addr add "2001:db8:5::$host/64" dev vlan5 nodad
        ip -n "$ns" link set vlan5 up
        ip netns exec "$ns" tc qdisc add dev "$dev" root netem corrupt "$CORRUPT"
    done
}

# ---------------------------------------------------------------- the traffic
servers() {
    mkdir -p "$work/www/cgi-bin"
    for size in 1 40 200 900; do
        head -c "$size" /dev/zero | tr '\0' x >"$work/www/$size"
    done
    server busybox httpd -p 80 -h "$work/www"
    server dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --pid-file="$work/dns.pid" --user=root \
        --address=/#/192.0.2.2 --address=/#/2001:db8::2
    server iperf3 --server --daemon --port 5201
    server iperf3 --server --daemon --port 5202
    sleep 1
}

# `-w` because a corrupted timestamp makes ping wait for ages.
pings() {
    client ping -q -w 8 -c 1200 -i 0.003 -s 24 192.0.2.2
    client ping -q -w 8 -c 900 -i 0.003 -s 40 2001:db8::2
    client ping -q -w 4 -c 300 -i 0.003 -s 16 198.51.100.2
    client ping -q -w 4 -c 8 -i 0.02 -s 3000 192.0.2.2
    client ping -q -w 4 -c 8 -i 0.02 -s 3000 2001:db8::2
}

names() {
    for host in a b c d e f g h; do
        for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            timeout 5 ip netns exec client busybox nslookup "$host$number.example" "192.0.2.2"
        done
        timeout 5 ip netns exec client busybox nslookup "$host.example" "2001:db8::2"
    done
}

pages() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        for size in 1 40 200 900; do
            for host in 192.0.2.2 '[2001:db8::2]' 198.51.100.2; do
                timeout 10 ip netns exec client busybox wget -q -O /dev/null "http://$host/$size"
            done
        done
    done
}

stream() { # PORT iperf3-arguments…
    port=$1; shift
    timeout 8 ip netns exec client iperf3 --port "$port" "$@"
}

streams() {
    stream 5201 -c 192.0.2.2 -u -b 0 -l 32 -k 3100
    stream 5201 -c 2001:db8::2 -u -b 0 -l 24 -k 3000
    stream 5201 -c 198.51.100.2 -u -b 0 -l 48 -k 600
    stream 5202 -c 192.0.2.2 -u -b 400K -l 4000 -k 15
    # Small segments: a low MSS, and Nagle's algorithm off with small writes.
    stream 5202 -c 192.0.2.2 -M 88 -l 1000 -n 150K
    stream 5202 -c 2001:db8::2 -M 100 -l 1000 -n 150K
    stream 5202 -c 192.0.2.2 -N -l 20 -n 30K -P 4
    stream 5202 -c 2001:db8::2 -N -l 30 -n 30K --reverse
    stream 5202 -c 192.0.2.2 -l 4000 -n 80K
    stream 5202 -c 198.51.100.2 -l 4000 -n 40K --reverse
}

unreachable() {
    for _ in 1 2 3 4 5 6 7 8; do
        timeout 20 ip netns exec client busybox traceroute -n -w 1 -q 3 192.0.2.2
        timeout 20 ip netns exec client busybox traceroute6 -n -w 1 -q 3 2001:db8::2
        timeout 5 ip netns exec client busybox wget -q -O /dev/null "http://192.0.2.2:81/"
    done
}

capture() { # OUT
    work=$(mktemp -d)
    network
    server tcpdump -Z root -i nic0 -s 0 -B 16384 --immediate-mode -U -w "$work/raw.pcap" 2>"$work/tcpdump.log" &
    sleep 2
    servers
    for part in pings names pages streams unreachable; do
        echo "make-capture: $part"
        # A corrupted request may fail; the damage is what is wanted, so nothing is retried here.
        "$part" >>"$work/traffic.log" 2>&1 || :
    done
    sleep 1
    for pid in $(ip netns pids server) $(ip netns pids client); do kill -INT "$pid" 2>/dev/null || :; done
    sleep 1
    for pid in $(ip netns pids server) $(ip netns pids client); do kill "$pid" 2>/dev/null || :; done
    cat "$work/tcpdump.log"
    tail -n 3 "$work/traffic.log"
    cp "$work/raw.pcap" "$1"
    ip netns del client
    ip netns del server
    rm -r "$work"
}

# ---------------------------------------------------------------- where the kernel lacks netem
able() { # can the running kernel do it?
    unshare --net sh -c '
        ip link add able0 type veth peer name able1 &&
        tc qdisc add dev able0 root netem corrupt 1% &&
        ip link add link able0 name able0.5 type vlan id 5' >/dev/null 2>&1
}

install() { # TOOL=PACKAGE…
    missing=
    for pair in "$@"; do command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}"; done
    [ -z "$missing" ] && return
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

put() { # copies a program and the libraries it needs into $root
    for file in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    done
}

in_machine() { # OUT: boots Debian's cloud kernel with an initramfs made of this machine's tools
    install qemu-system-x86_64=qemu-system-x86 cpio=cpio
    vm=$(mktemp -d)
    root=$vm/root
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')
    (cd "$vm" && apt-get download -qq "$kernel" && dpkg-deb -x "$kernel"_*.deb kernel)
    mkdir -p "$root/bin" "$root/scratch" "$root/proc" "$root/sys" "$root/dev" "$root/run/netns" "$root/modules" "$root/etc"
    # dash, because a busybox shell prefers its own applets to the real ip and ping.
    for tool in ip tc ethtool tcpdump ping iperf3 dnsmasq timeout; do put "$(command -v "$tool")"; done
    put /bin/dash
    cp -L "$(command -v busybox)" "$root/bin/busybox"
    for module in llc stp garp mrp 8021q veth sch_netem; do
        find "$vm/kernel/lib/modules" -name "$module.ko*" -exec cp {} "$root/modules/" \;
    done
    # dnsmasq and tcpdump look their user up.
    echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    cp "$0" "$root/make-capture.sh"
    cat >"$root/init" <<'INIT'
#!/bin/dash
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
export TMPDIR=/scratch
for module in llc stp garp mrp 8021q veth sch_netem; do insmod /modules/$module.ko; done
dash /make-capture.sh --inside /scratch/out.pcap
bytes=$(stat -c %s /scratch/out.pcap)
{ printf '%16d' "$bytes"; cat /scratch/out.pcap; } >/scratch/disk && dd if=/scratch/disk of=/dev/nvme0n1 bs=1M conv=fsync 2>/dev/null
echo "make-capture: machine done"
poweroff -f
INIT
    chmod +x "$root/init"
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1 >"$vm/initramfs")
    truncate -s 64M "$vm/disk"
    timeout 900 qemu-system-x86_64 -machine pc -accel tcg -smp 2 -m 1024 -nographic -no-reboot \
        -kernel "$(echo "$vm"/kernel/boot/vmlinuz-*)" -initrd "$vm/initramfs" \
        -append 'console=ttyS0 loglevel=4 mitigations=off cryptomgr.notests panic=-1' \
        -drive "file=$vm/disk,if=none,format=raw,id=disk" -device nvme,drive=disk,serial=capture
    bytes=$(head -c 16 "$vm/disk" | tr -d ' \0')
    [ -n "$bytes" ] || { echo "make-capture: the machine gave nothing back" >&2; exit 1; }
    tail -c +17 "$vm/disk" | head -c "$bytes" >"$1"
    rm -r "$vm"
}

# ---------------------------------------------------------------- main
if [ "${1-}" = --inside ]; then
    capture "$2"
    exit
fi
out=${1-$(dirname "$0")/../examples/nic/default.pcap}
install ip=iproute2 tc=iproute2 ethtool=ethtool tcpdump=tcpdump ping=iputils-ping iperf3=iperf3 \
    dnsmasq=dnsmasq-base busybox=busybox-static
if able; then capture "$out"; else in_machine "$out"; fi
packets=$(tcpdump -r "$out" --count 2>/dev/null | cut -d' ' -f1)
bytes=$(stat -c %s "$out")
echo "make-capture: $out holds $packets packets in $bytes bytes"
[ "$packets" -ge "$PACKETS_MIN" ] || { echo "make-capture: fewer than $PACKETS_MIN packets" >&2; exit 1; }
[ "$bytes" -le "$BYTES_MAX" ] || { echo "make-capture: more than $BYTES_MAX bytes" >&2; exit 1; }
