#!/usr/bin/env bash
# conmon 2.1.6 (Debian conmon 2.1.6+ds1-1), which writes the logs of Podman's and CRI-O's containers: at
# `--log-size-max` it throws the log away.
#
# conmon with `--log-path k8s-file:ctr.log --log-size-max 20000` writes 1000 events of about 100 bytes of one container.
# Seen:
#
#     33 of 1000 events are left, events 968 to 1000, in one file of 4799 bytes
#
# A new file is renamed over `ctr.log`: there is no `ctr.log.1`, and no option for one. Podman sets this with `max-size`
# of `--log-opt`, CRI-O with `log_size_max`. (The runtime here is a stub that starts a `cat` of a pipe; conmon writes
# the log.)
#
# Why it matters: the limit reads like that of a rotation, and what is kept is anything between nothing and one file. A
# shipper must hold the open file at each of these moments; what it has not read when it is started again exists
# nowhere.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
{ apt-get download -q -o APT::Sandbox::User=root conmon=2.1.6+ds1-1 >/dev/null && dpkg-deb -x conmon_*.deb root &&
    apt-get download -q -o APT::Sandbox::User=root libglib2.0-0 libpcre2-8-0 libsystemd0 libgcrypt20 libgpg-error0 >/dev/null &&
    for package in lib*.deb; do dpkg-deb -x "$package" root; done; } ||
    { echo "conmon cannot be installed (Debian 12)"; exit 2; }
libraries=$(find "$tmp/root" -name 'lib*.so.0' -printf '%h\n' | sort -u | paste -sd:)

cat >runtime <<'SH'
#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --pid-file ] && pid=$2; shift; done
[ -n "$pid" ] || exit 0
cat pipe &
echo $! >"$pid"
SH
chmod +x runtime
mkfifo pipe
mkdir logs
LD_LIBRARY_PATH=$libraries timeout 60 root/usr/bin/conmon --sync --cid c --cuuid c --name c --bundle "$tmp" --exit-dir "$tmp" \
    --runtime "$tmp/runtime" --container-pidfile "$tmp/pid" --socket-dir-path "$tmp" \
    --log-path "k8s-file:$tmp/logs/ctr.log" --log-size-max 20000 </dev/null >/dev/null 2>&1 &
conmon=$!
for _ in {1..100}; do [ ! -s pid ] || break; sleep 0.1; done
[ -s pid ] || { echo "conmon did not start"; kill "$conmon"; exit 2; }
for ((n = 1; n <= 1000; n++)); do printf '{"n":%d,"pad":"%080d"}\n' "$n" 0; done >pipe
wait "$conmon" || true # the end of the stub is none of a container

wc -c logs/*
found=$(grep -c '{"n":' logs/ctr.log)
echo "$found of 1000 events are left: $(head -n 1 logs/ctr.log | cut -d ' ' -f 4 | cut -d , -f 1) to $(tail -n 1 logs/ctr.log | cut -d ' ' -f 4 | cut -d , -f 1)"
[ "$(ls logs)" = ctr.log ] && [ "$found" -lt 250 ] && tail -n 1 logs/ctr.log | grep -q '"n":1000,' ||
    { echo "the behaviour has changed"; exit 1; }
