#!/usr/bin/env bash
# winston-daily-rotate-file 5.0.0 with winston 3.19.0 (npm): one burst lifts `maxFiles` for good.
#
# A transport with `maxSize: 10000, maxFiles: 3` gets 500 events of about 100 bytes, one every 2 ms, then 2000 in one
# turn of the event loop, then 1000 at leisure again; then the process is started anew and logs 500 more at leisure.
# Seen:
#
#     after the first 500         3 files
#     after the burst            20 files
#     after 1000 more            20 files
#     after a restart, 500 more  20 files
#
# The files of the burst are made faster than old ones are removed, and afterwards each new file removes one: the number
# does not go down again.
#
# Why it matters: `maxFiles` is set as a bound for the disk, or as a promise of how long events are kept. It is neither
# after the first burst.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tmp" winston@3.19.0 winston-daily-rotate-file@5.0.0 ||
    { echo "winston-daily-rotate-file cannot be installed"; exit 2; }

cat >daily.js <<'JS'
const fs = require('fs');
const { createLogger, format } = require('winston');
const Daily = require('winston-daily-rotate-file');

// One day, so that midnight changes nothing.
const file = new Daily({ filename: 'logs/audit.log', auditFile: 'audit.json', maxSize: 10000, maxFiles: 3, datePattern: 'YYYY' });
const logger = createLogger({ format: format.printf((info) => info.message), transports: [file] });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const log = () => logger.info(JSON.stringify({ pad: 'x'.repeat(90) }));
(async () => {
  const files = [];
  for (const [events, ms] of JSON.parse(process.argv[2])) {
    for (let n = 0; n < events; n++) {
      log();
      if (ms > 0) await pause(ms);
    }
    await pause(1000);
    files.push(fs.readdirSync('logs').length);
  }
  console.log(files.join(' '));
  process.exit(0);
})();
JS

mkdir logs
read -r before burst later < <(node daily.js '[[500, 2], [2000, 0], [1000, 2]]' 2>/dev/null)
restarted=$(node daily.js '[[500, 2]]' 2>/dev/null)
echo "before: $before files; after the burst: $burst; after 1000 more: $later; after a restart and 500 more: $restarted"
[ "$before" = 3 ] && [ "$burst" -gt 10 ] && [ "$later" -ge "$burst" ] && [ "$restarted" -ge "$burst" ] ||
    { echo "the behaviour has changed"; exit 1; }
