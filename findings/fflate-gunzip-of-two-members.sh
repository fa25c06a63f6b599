#!/usr/bin/env bash
# fflate 0.8.3 (npm): `gunzipSync` gives as many bytes as the last gzip member holds, taken from the first one.
#
# A log is compressed in two steps into one .gz file, 1000 events and then 100, as `gzip -c >> log.gz` does. The first
# member has 9890 bytes, the second 1100. Seen:
#
#     zlib of Node                       10990 bytes, 1100 events
#     fflate.Gunzip (streaming)          10990 bytes, 1100 events
#     fflate.gunzipSync                   1100 bytes,  121 events, all of the first member; no error
#     fflate.gunzipSync, zeros appended       0 bytes,    0 events; no error
#
# The length of the output is read from the last four bytes of the file, decoding stops after the first member, and what
# does not fit that length is dropped. Zeros at the end are what a device or archive that writes whole blocks leaves;
# gzip(1) and zlib of Node pass over them, and gunzipSync takes them for a length of 0.
#
# Why it matters: a result that is cut anywhere, or empty, from a file that `gzip -t` calls good, and without an error.
# Not even the number of bytes is that of one member.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tmp" fflate@0.8.3 ||
    { echo "fflate cannot be installed"; exit 2; }

cat >two.js <<'JS'
const fflate = require('fflate');
const zlib = require('zlib');

const events = (from, to) => Buffer.from(Array.from({ length: to - from }, (_, n) => `{"n":${from + n}}\n`).join(''));
const file = Buffer.concat([zlib.gzipSync(events(0, 1000)), zlib.gzipSync(events(1000, 1100))]);
const padded = Buffer.concat([zlib.gzipSync(events(0, 1000)), Buffer.alloc(512)]);
const streamed = (bytes) => {
  const parts = [];
  new fflate.Gunzip((part) => parts.push(part)).push(new Uint8Array(bytes), true);
  return Buffer.concat(parts);
};
const tell = (what, bytes) => console.log(`${what} ${bytes.length} ${Buffer.from(bytes).toString().split('\n').length - 1}`);
tell('zlib', zlib.gunzipSync(file));
tell('Gunzip', streamed(file));
tell('gunzipSync', fflate.gunzipSync(file));
tell('zlib-padded', zlib.gunzipSync(padded));
tell('gunzipSync-padded', fflate.gunzipSync(padded));
JS

node two.js >seen
cat seen
diff seen - <<'END' || { echo "the behaviour has changed"; exit 1; }
zlib 10990 1100
Gunzip 10990 1100
gunzipSync 1100 121
zlib-padded 9890 1000
gunzipSync-padded 0 0
END
