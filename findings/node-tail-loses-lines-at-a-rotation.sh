#!/usr/bin/env bash
# tail 2.2.6 (npm): with `follow: true` each rotation loses lines, or all that come after it.
#
# `new Tail(file, { follow: true, fromBeginning: true })` follows a log that is rotated four times by a rename and a new
# file. Each file gets 10 lines, one every 50 ms; new ones begin 2.5 s after the rename. Seen, with no error event:
#
#     half a second of quiet before each rename  37 of 40 lines: the first line of each new file is missing
#     5 lines more, then the rename at once      40 of 60 lines: the 5 of each file are missing
#     half a second of quiet, and the file named by a path of one word (`audit.log`, in the working directory)
#                                                10 of 40 lines: nothing after the first rename
#
# At the rename it lets go of the old file without another look, and begins to watch the new one a second later, at the
# position that it had reached in the old one; the first look finds the file shorter than that and takes up at its end.
# Where the path is one word, the rename is taken for none, and the renamed file goes on being watched.
#
# Why it matters: the option is described as tail -F, which reads all of them. One line a rotation is easy to overlook,
# and no error says that a rotation was met at all.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tmp" tail@2.2.6 ||
    { echo "tail cannot be installed"; exit 2; }

cat >follow.js <<'JS'
const fs = require('fs');
const { Tail } = require('tail');

const [, , name, atOnce] = process.argv;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
(async () => {
  const got = new Set();
  let written = 0;
  let errors = 0;
  const write = () => fs.appendFileSync(name, `line ${written++}\n`);
  fs.writeFileSync(name, '');
  const tail = new Tail(name, { follow: true, fromBeginning: true });
  tail.on('line', (line) => line && got.add(line));
  tail.on('error', () => errors++);
  await pause(500);
  for (const file of [1, 2, 3, 4]) {
    for (let n = 0; n < 10; n++) {
      write();
      await pause(50);
    }
    await pause(500);
    for (let n = 0; n < atOnce; n++) write();
    fs.renameSync(name, `${name}.${file}`);
    fs.writeFileSync(name, '');
    await pause(2500);
  }
  const missing = [];
  for (let n = 0; n < written; n++) if (!got.has(`line ${n}`)) missing.push(n);
  console.log(`${got.size} of ${written} lines, ${errors} errors, without ${missing.join(' ')}`);
  process.exit(0);
})();
JS

quiet=$(node follow.js "$tmp/quiet.log" 0)
busy=$(node follow.js "$tmp/busy.log" 5)
bare=$(node follow.js audit.log 0)
printf '%s\n' "quiet: $quiet" "busy:  $busy" "bare:  $bare"
[ "$quiet" = "37 of 40 lines, 0 errors, without 10 20 30" ] &&
    [[ $busy = "40 of 60 lines, 0 errors, "* ]] && [[ $bare = "10 of 40 lines, 0 errors, "* ]] ||
    { echo "the behaviour has changed"; exit 1; }
