#!/usr/bin/env bash
# supervisord 4.3.0 (PyPI supervisor) and rotatelogs of Apache 2.4.71 (Debian apache2-utils 2.4.71-1~deb12u1): a
# rotation by size cuts a line in two where what they read from their pipe does not end with a line.
#
# 20000 events of about 100 bytes, files of 100 KB (`stdout_logfile_maxbytes=100KB`; `rotatelogs -n 200 log 100K`).
# Seen:
#
#     supervisord, a program that writes lines, some at a time         0 of 20 files end within a line
#     supervisord, one that writes blocks of 4096 bytes, at leisure   19 of 20 files end within a line
#     rotatelogs, whole lines, some at a time                          0 of 20 files end within a line
#     rotatelogs, as fast as it reads                                 15 of 16 files end within a line
#
# Both look for the size between two reads of the pipe, not between two lines. Blocks are what the C library writes when
# the standard output is a pipe, so for supervisord no load is needed. Nothing is lost: the files in their order are
# exactly the input.
#
# Why it matters: the head of the line is the end of one file and its rest the beginning of the next. Who reads file by
# file gets two broken events at nearly each rotation, and none in a test with a program that flushes each line.
set -euo pipefail
tmp=$(mktemp -d)
supervisord=
trap '[ -z "$supervisord" ] || kill "$supervisord" 2>/dev/null || true; wait; rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m pip install -qq --disable-pip-version-check --target "$tmp/packages" supervisor==4.3.0 || { echo "supervisor cannot be installed"; exit 2; }
{ apt-get download -q -o APT::Sandbox::User=root apache2-utils=2.4.71-1~deb12u1 libapr1=1.7.2-3+deb12u1 >/dev/null &&
    for package in *.deb; do dpkg-deb -x "$package" root; done; } ||
    { echo "rotatelogs cannot be installed (Debian 12)"; exit 2; }
libraries=$(dirname "$(find root -name 'libapr-1.so.0')")

for ((n = 0; n < 20000; n++)); do printf '{"n":%d,"pad":"%080d"}\n' "$n" 0; done >events
cat >at-leisure <<'SH'
#!/usr/bin/env bash
while mapfile -t -n 50 lines && [ ${#lines[@]} -gt 0 ]; do printf '%s\n' "${lines[@]}"; sleep 0.005; done <"$1/events"
SH
chmod +x at-leisure

supervise() {
    mkdir "$1"
    cat >supervisord.conf <<CONF
[supervisord]
nodaemon=true
logfile=$tmp/supervisord.log
pidfile=$tmp/supervisord.pid
[program:app]
command=bash -c "$2"
autorestart=false
startsecs=0
stdout_logfile=$tmp/$1/log
stdout_logfile_maxbytes=100KB
stdout_logfile_backups=200
CONF
    PYTHONPATH=$tmp/packages python3 -m supervisor.supervisord -c supervisord.conf >/dev/null 2>&1 &
    supervisord=$!
    for _ in {1..300}; do
        [ "$(cat "$1"/log* 2>/dev/null | wc -c)" -lt "$(wc -c <events)" ] || break
        sleep 0.1
    done
    kill "$supervisord"
    wait "$supervisord" || true
    supervisord=
}
rotate() { LD_LIBRARY_PATH=$libraries root/usr/bin/rotatelogs -n 200 "$tmp/$1/log" 100K; }
cut_files() {
    local cut=0
    for file in "$1"/*; do [ -z "$(tail -c 1 "$file")" ] || cut=$((cut + 1)); done
    echo "$cut of $(ls "$1" | wc -l)"
}

supervise lines "./at-leisure $tmp"
supervise blocks "./at-leisure $tmp | sed -n p"
mkdir slow fast
./at-leisure "$tmp" | rotate slow
cat events | rotate fast

# The greatest number is the oldest file of supervisord, and the newest of rotatelogs.
cat $(ls -rv blocks/*) | cmp - events && cat $(ls -v fast/*) | cmp - events || { echo "the behaviour has changed"; exit 1; }
for run in lines blocks slow fast; do
    case $run in lines | blocks) program=supervisord ;; *) program=rotatelogs ;; esac
    echo "$program, $run: $(cut_files "$run") files end within a line"
done
cut() { local all; all=$(cut_files "$1"); echo "${all%% *}"; }
[ "$(cut lines)" = 0 ] && [ "$(cut blocks)" -gt 0 ] && [ "$(cut slow)" = 0 ] && [ "$(cut fast)" -gt 0 ] ||
    { echo "the behaviour has changed"; exit 1; }
