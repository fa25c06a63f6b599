#!/usr/bin/env bash
# cronolog 1.6.2 (Debian cronolog 1.6.2+rpk-3): `--symlink` stays at the first file for ever.
#
# `cronolog --symlink=current 'audit-%H%M%S.log'` is given an event every half second for three seconds, and is then
# started again. The manual says that it maintains the link to the current log file. Seen:
#
#     --symlink                     4 files, the link names the oldest; after the restart 7 files, the same oldest one
#     --symlink and --prev-symlink  4 files, the link names the newest
#
# The link is moved only where there is also a name for the link before it: without `--prev-symlink` it renames the old
# link to a null path, which fails, and the new link cannot be made where the old one is. It says nothing of this.
#
# Why it matters: a shipper that follows the link, which is what the link is for, delivers the first file and then
# nothing.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
{ apt-get download -q -o APT::Sandbox::User=root cronolog=1.6.2+rpk-3 >/dev/null && dpkg-deb -x cronolog_*.deb root; } ||
    { echo "cronolog cannot be installed (Debian 12)"; exit 2; }

events() { for n in 1 2 3 4 5 6; do echo "{\"n\":$n}"; sleep 0.5; done; }
# Cronolog is told to keep a link in the directory $1, and perhaps more.
run() {
    local directory=$1
    shift
    mkdir -p "$directory"
    events | root/usr/bin/cronolog --symlink="$tmp/$directory/current" "$@" "$tmp/$directory/audit-%H%M%S.log" 2>>stderr || true # 3 at the end of its input, always
}
linked() { basename "$(readlink "$1/current")"; }
oldest() { ls "$1" | grep '^audit' | head -n 1; }
newest() { ls "$1" | grep '^audit' | tail -n 1; }

run plain
first=$(oldest plain)
echo "--symlink: $(ls plain | grep -c '^audit') files, $first to $(newest plain); current -> $(linked plain)"
[ "$(linked plain)" = "$first" ] && [ "$(newest plain)" != "$first" ] || { echo "the behaviour has changed"; exit 1; }
run plain
echo "after a restart: $(ls plain | grep -c '^audit') files, up to $(newest plain); current -> $(linked plain)"
[ "$(linked plain)" = "$first" ] || { echo "the behaviour has changed"; exit 1; }
run both --prev-symlink="$tmp/both/previous"
echo "with --prev-symlink: $(ls both | grep -c '^audit') files, $(oldest both) to $(newest both); current -> $(linked both)"
echo "stderr: $(wc -c <stderr) bytes"
[ "$(linked both)" = "$(newest both)" ] && [ ! -s stderr ] || { echo "the behaviour has changed"; exit 1; }
