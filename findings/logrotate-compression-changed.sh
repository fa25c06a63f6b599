#!/usr/bin/env bash
# logrotate 3.21.0 (Debian logrotate 3.21.0-1): a change of `compresscmd` leaves the old generations behind for ever,
# under the numbers of new ones.
#
# A log with `rotate 3`, `compress` is rotated five times, then `compresscmd` is changed to zstd and it is rotated six
# times more. Seen, exit status 0 and nothing said:
#
#     log.1.gz log.2.gz log.3.gz     generations 5, 4, 3
#     log.1.zst log.2.zst log.3.zst  generations 11, 10, 9
#
# Shifting and removing look for names with the extension that is configured now. The same happens where `compress` is
# taken out or put in (`log.2` beside `log.2.gz`), and where `dateext` replaces the numbers.
#
# Why it matters: events that a retention rule says are gone stay on disk without end. And the number is no order any
# more: `log.1.gz` is older than `log.3.zst`, so a tool that sorts generations by number reads them in the wrong order.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
{ apt-get download -q -o APT::Sandbox::User=root logrotate=3.21.0-1 libpopt0=1.19+dfsg-1 zstd=1.5.4+dfsg2-5+deb12u1 >/dev/null &&
    for package in *.deb; do dpkg-deb -x "$package" root; done; } ||
    { echo "logrotate cannot be installed (Debian 12)"; exit 2; }
libraries=$(dirname "$(find root -name 'libpopt.so.0')")

mkdir logs
configure() { printf '%s {\n  size 1\n  rotate 3\n  create\n  compress\n%s}\n' "$tmp/logs/log" "$1" >logrotate.conf; }
rotate() {
    for n in "$@"; do
        echo "{\"generation\":$n}" >>logs/log
        LD_LIBRARY_PATH=$tmp/$libraries root/usr/sbin/logrotate -s "$tmp/state" logrotate.conf >>said 2>&1
    done
}
configure ""
rotate 1 2 3 4 5
configure "  compresscmd $tmp/root/usr/bin/zstd
"
rotate 6 7 8 9 10 11

for file in logs/log.*.gz; do echo "${file#logs/}: $(gzip -dc "$file")"; done >seen
for file in logs/log.*.zst; do echo "${file#logs/}: $(root/usr/bin/zstd -qdc "$file")"; done >>seen
cat seen
echo "said: $(wc -c <said) bytes"
diff seen - <<'END' && [ ! -s said ] || { echo "the behaviour has changed"; exit 1; }
log.1.gz: {"generation":5}
log.2.gz: {"generation":4}
log.3.gz: {"generation":3}
log.1.zst: {"generation":11}
log.2.zst: {"generation":10}
log.3.zst: {"generation":9}
END
