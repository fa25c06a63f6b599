#!/usr/bin/env bash
# lzma of CPython 3.11.2 (Debian python3.11 3.11.2-6+deb12u9): what follows the padding of an .xz stream is left out
# without an error.
#
# The .xz format lets a multiple of four zero bytes stand between two streams. A file holds 1000 events, four zeros, and
# 100 events. Seen:
#
#     xz -t, xz -dc                   good, 1100 events
#     lzma.decompress, lzma.open      1000 events, no error
#
# Two streams without padding are read whole. The decoder takes zeros for trailing garbage, which it ignores together
# with all that comes after it. CPython 3.10.13, 3.12.1 and 3.13.0 do the same.
#
# Why it matters: .xz files are joined with `cat`, and what pads to whole blocks leaves zeros between them. A job that
# reads such an archive with Python counts fewer events than were written and ends well.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
{ version=3.11.2-6+deb12u9 &&
    apt-get download -q -o APT::Sandbox::User=root xz-utils=5.4.1-1+deb12u2 liblzma5=5.4.1-1+deb12u2 \
        "python3.11-minimal=$version" "libpython3.11-minimal=$version" "libpython3.11-stdlib=$version" >/dev/null &&
    for package in *.deb; do dpkg-deb -x "$package" root; done; } ||
    { echo "python3.11 and xz cannot be installed (Debian 12)"; exit 2; }
LD_LIBRARY_PATH=$(dirname "$(find "$tmp/root" -name 'liblzma.so.5')")
export LD_LIBRARY_PATH PYTHONHOME=$tmp/root/usr
xz=root/usr/bin/xz

events() { seq "$1" "$2" | sed 's/.*/{"n":&}/'; }
{ events 1 1000 | $xz; events 1001 1100 | $xz; } >joined.xz
{ events 1 1000 | $xz; head -c 4 /dev/zero; events 1001 1100 | $xz; } >padded.xz
$xz -t padded.xz
echo "xz: $($xz -dc padded.xz | wc -l) events" >seen
root/usr/bin/python3.11 - >>seen <<'PY'
import lzma

for name in "joined.xz", "padded.xz":
    with open(name, "rb") as file:
        whole = lzma.decompress(file.read()).splitlines()
    with lzma.open(name) as file:
        read = file.readlines()
    print(f"{name}: {len(whole)} and {len(read)} events")
PY
cat seen
diff seen - <<'END' || { echo "the behaviour has changed"; exit 1; }
xz: 1100 events
joined.xz: 1100 and 1100 events
padded.xz: 1000 and 1000 events
END
