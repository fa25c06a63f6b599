#!/usr/bin/env bash
# rotatelogs of Apache 2.4.71 (Debian apache2-utils 2.4.71-1~deb12u1): a restart begins the ring of `-n` anew: what the
# last run wrote is cut, and the oldest file stays for ever.
#
# `rotatelogs -n 5 log 100K` keeps `log`, `log.1` ... `log.4`. It is started six times, as a server that is restarted,
# and each time takes 1600 events of about 100 bytes, one and a half files. Seen:
#
#     3 files: log (events 0 to 1039), log.1 and log.2 (8000 to 9599); log.3 and log.4 are never made
#     2640 of 9600 events are left; the 6960 between are gone, though the ring has room for 5 files of 100 KB
#
# A start begins at `log` again, wherever the ring was. `log` is full, so it is left as it is; `log.1` and then
# `log.2` are cut, which hold what the last run wrote.
#
# Why it matters: the newest events go first while older ones are kept and places are unused, so what a shipper has not read
# when the server is restarted soon is gone. And the file without a number is neither the newest nor ever removed.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
{ apt-get download -q -o APT::Sandbox::User=root apache2-utils=2.4.71-1~deb12u1 libapr1=1.7.2-3+deb12u1 >/dev/null &&
    for package in *.deb; do dpkg-deb -x "$package" root; done; } ||
    { echo "rotatelogs cannot be installed (Debian 12)"; exit 2; }
libraries=$(dirname "$(find root -name 'libapr-1.so.0')")

mkdir ring
for run in 0 1 2 3 4 5; do
    for ((n = run * 1600; n < (run + 1) * 1600; n++)); do printf '{"n":%d,"pad":"%080d"}\n' "$n" 0; done |
        # No write is cut in two: each read of the program finds whole lines.
        while mapfile -t -n 20 lines && [ ${#lines[@]} -gt 0 ]; do printf '%s\n' "${lines[@]}"; sleep 0.005; done |
        LD_LIBRARY_PATH=$libraries root/usr/bin/rotatelogs -n 5 "$tmp/ring/log" 100K
done

for file in ring/*; do echo "${file#ring/}: $(sed -n '1s/,.*//p' "$file") to $(sed -n '$s/,.*//p' "$file"), $(wc -l <"$file") events"; done
found=$(cat ring/* | grep -o '^{"n":[0-9]*' | sort -u | wc -l)
before_last=$(cat ring/* | grep -c '^{"n":7999,' || true)
echo "$found of 9600 events are left"
[ -e ring/log.2 ] && [ ! -e ring/log.3 ] && [ "$before_last" = 0 ] && head -n 1 ring/log | grep -q '"n":0,' ||
    { echo "the behaviour has changed"; exit 1; }
