#!/usr/bin/env bash
# loguru 0.7.3 (PyPI): with `enqueue=True` and `compression`, several processes that log to one file lose events.
#
# Three processes each run `logger.add("audit.log", rotation="20 KB", enqueue=True, ...)`, as the workers of a server do
# that import one logging module, and write 1000 events each. The documentation recommends `enqueue` for a file that
# several processes log to. Seen in four runs:
#
#     enqueue=True                    3000, 3000, 3000 and 2999 of 3000 events on disk
#     enqueue=True, compression="gz"  1148, 1253, 1254 and 1538 of 3000 events on disk
#
# Every process ended with status 0. Now and then a rotation that found no `audit.log` any more told on stderr of one event;
# of the others nothing is said. Each process rotates by itself: it renames `audit.log`, compresses what it renamed and
# deletes it, while the others have that file open and go on writing to it until they rotate. Without compression what they
# write stays in the renamed file.
#
# Why it matters: `compression` alone turns a set-up that works, but for a rare event that is told, into one that loses half
# in silence.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m pip install -qq --disable-pip-version-check --target "$tmp/packages" loguru==0.7.3 || { echo "loguru cannot be installed"; exit 2; }
export PYTHONPATH=$tmp/packages

cat >worker.py <<'PY'
import json, sys, time
from loguru import logger

directory, worker, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
logger.remove()
logger.add(f"{directory}/audit.log", format="{message}", rotation="20 KB", enqueue=True, **options)
for n in range(1000):
    logger.info(json.dumps({"n": worker * 1000 + n, "pad": "x" * 80}))
    if n % 20 == 0:
        time.sleep(0.01)
logger.complete()
PY

run() {
    mkdir "$1"
    local workers=()
    for worker in 0 1 2; do
        python3 worker.py "$1" "$worker" "$2" 2>>"$1.stderr" &
        workers+=($!)
    done
    for worker in "${workers[@]}"; do wait "$worker"; done
    for file in "$1"/*; do gzip -cdf "$file"; done | grep -o '^{"n": [0-9]*' | sort -u | wc -l
}

plain=$(run plain '{}')
compressed=$(run compressed '{"compression": "gz"}')
echo "enqueue=True                    $plain of 3000 events on disk"
echo "enqueue=True, compression=\"gz\"  $compressed of 3000 events on disk"
[ "$plain" -ge 2990 ] && [ "$compressed" -lt 2700 ] || { echo "the behaviour has changed"; exit 1; }
