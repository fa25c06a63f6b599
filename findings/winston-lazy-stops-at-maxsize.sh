#!/usr/bin/env bash
# winston 3.19.0 (npm): the File transport with `lazy: true` and `maxsize` writes its first file and then no more.
#
# A logger with `new transports.File({ filename, maxsize: 10000, lazy: true })`, where `lazy` is to make files when they
# are first needed, is given 300 events of about 100 bytes, one every 5 ms. Seen:
#
#     lazy: false  300 of 300 events on disk
#     lazy: true   103 of 300 events on disk, events 0 to 102; 1 file, no error event
#
# The first file is filled to `maxsize`. What comes after it is on no disk, and no 'error' comes from the transport or
# the logger.
#
# Why it matters: the audit log ends in the middle of ordinary work at low load, the process goes on, and a shipper sees
# a quiet file.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tmp" winston@3.19.0 ||
    { echo "winston cannot be installed"; exit 2; }

cat >lazy.js <<'JS'
const fs = require('fs');
const { createLogger, format, transports } = require('winston');

const [, , directory, lazy] = process.argv;
let errors = 0;
const file = new transports.File({ filename: `${directory}/audit.log`, maxsize: 10000, lazy: lazy === 'true' });
const logger = createLogger({ format: format.printf((info) => info.message), transports: [file] });
for (const emitter of [file, logger]) emitter.on('error', () => errors++);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
(async () => {
  for (let n = 0; n < 300; n++) {
    logger.info(JSON.stringify({ n, pad: 'x'.repeat(80) }));
    await pause(5);
  }
  await pause(2000);
  const found = [];
  for (const name of fs.readdirSync(directory))
    for (const line of fs.readFileSync(`${directory}/${name}`, 'utf8').split('\n')) if (line) found.push(JSON.parse(line).n);
  console.log(`${found.length} ${Math.max(...found)} ${fs.readdirSync(directory).length} ${errors}`);
  process.exit(0);
})();
JS

mkdir eager lazy
read -r eager _ _ _ < <(node lazy.js eager false)
read -r lazy last files errors < <(node lazy.js lazy true)
echo "lazy: false  $eager of 300 events on disk"
echo "lazy: true   $lazy of 300 events on disk, the last is $last; $files file(s), $errors errors"
[ "$eager" = 300 ] && [ "$lazy" -lt 120 ] && [ "$last" -lt 120 ] && [ "$errors" = 0 ] ||
    { echo "the behaviour has changed"; exit 1; }
