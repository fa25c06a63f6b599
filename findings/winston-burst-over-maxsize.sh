#!/usr/bin/env bash
# winston 3.19.0 (npm): the File transport with `maxsize` loses events of a burst that is larger than a file may be;
# where the burst comes first, all events and those after it.
#
# A logger with `new transports.File({ filename, maxsize: 10000 })` is given 500 events of about 100 bytes in one turn
# of the event loop, then 100 more, one every 5 ms. In a second run 30 events at leisure and a second of quiet come
# before. Seen:
#
#     burst first, without maxsize   600 of 600 events on disk
#     burst first, with maxsize        0 of 600 events on disk, 2 files of 0 bytes
#     burst later, with maxsize      463 of 630 events on disk
#
# Neither the transport nor the logger emits an 'error'. In the first case the later events do not reach the disk
# either.
#
# Why it matters: a service that logs more than `maxsize` while it starts has an audit log that exists, is empty and
# stays so. Whoever ships the files sees nothing wrong with them: what is missing never was in one.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tmp" winston@3.19.0 ||
    { echo "winston cannot be installed"; exit 2; }

cat >burst.js <<'JS'
const fs = require('fs');
const { createLogger, format, transports } = require('winston');

const [, , directory, before, options] = process.argv;
let errors = 0;
const file = new transports.File({ filename: `${directory}/audit.log`, ...JSON.parse(options) });
const logger = createLogger({ format: format.printf((info) => info.message), transports: [file] });
for (const emitter of [file, logger]) emitter.on('error', () => errors++);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let written = 0;
const log = () => logger.info(JSON.stringify({ n: written++, pad: 'x'.repeat(80) }));
const atLeisure = async (events) => {
  for (let n = 0; n < events; n++) {
    log();
    await pause(5);
  }
  await pause(1000);
};
(async () => {
  if (before > 0) await atLeisure(before);
  for (let n = 0; n < 500; n++) log();
  await pause(2000);
  await atLeisure(100);
  const found = new Set();
  for (const name of fs.readdirSync(directory))
    for (const line of fs.readFileSync(`${directory}/${name}`, 'utf8').split('\n')) if (line) found.add(JSON.parse(line).n);
  console.log(`${found.size} of ${written} events on disk, ${fs.readdirSync(directory).length} files, ${errors} errors`);
  process.exit(0);
})();
JS

mkdir plain first later
plain=$(node burst.js plain 0 '{}')
first=$(node burst.js first 0 '{"maxsize":10000}')
later=$(node burst.js later 30 '{"maxsize":10000}')
printf '%s\n' "burst first, without maxsize: $plain" "burst first, with maxsize:    $first" "burst later, with maxsize:    $later"
[[ $plain = "600 of 600 events on disk, "* ]] && [ "$first" = "0 of 600 events on disk, 2 files, 0 errors" ] &&
    [ "${later%% *}" -lt 600 ] && [[ $later = *" 0 errors" ]] || { echo "the behaviour has changed"; exit 1; }
