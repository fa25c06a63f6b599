#!/usr/bin/env bash
# loguru 0.7.3 (PyPI): `retention` of one log removes another log that is being written beside it.
#
# Two sinks in one directory: `app.log` with `rotation="10 KB", retention=3`, and `app.audit.log` with neither, which is
# to be kept for ever. 100 audit events are written, then 1000 lines to `app.log`, then 100 more audit events. Seen:
#
#     app.audit.log is gone: 0 of 200 audit events on disk; app.log and 3 rotated files are left; nothing on stderr
#
# What `retention` may remove is found by a pattern made of the name, `app.*.log` here, which is meant for the date of a
# rotated file and also fits every other log whose name goes on from the same stem. That the other sink has it open does
# not matter: its 100 later events go to a file without a name. The documentation gives the pattern, not that it takes
# in the files of other sinks.
#
# Why it matters: `app.log` and `app.audit.log` (`app.error.log`, `app.access.log`) side by side are common, and the log
# that is lost is the one that nobody put a limit to. A shipper that holds the file open can still read it; one that is
# restarted cannot.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m pip install -qq --disable-pip-version-check --target "$tmp/packages" loguru==0.7.3 || { echo "loguru cannot be installed"; exit 2; }

mkdir logs
PYTHONPATH=$tmp/packages python3 - 2>stderr <<'PY'
from loguru import logger

logger.remove()
logger.add("logs/app.log", format="{message}", rotation="10 KB", retention=3, filter=lambda r: "audit" not in r["extra"])
logger.add("logs/app.audit.log", format="{message}", filter=lambda r: "audit" in r["extra"])
audit = logger.bind(audit=True)
for n in range(100):
    audit.info('{"n":%d}' % n)
for n in range(1000):
    logger.info("x" * 80)
for n in range(100, 200):
    audit.info('{"n":%d}' % n)
PY
found=$(cat logs/* | grep -c '^{"n":' || true)
ls logs
echo "$found of 200 audit events on disk; stderr: $(wc -c <stderr) bytes"
[ ! -e logs/app.audit.log ] && [ "$found" = 0 ] && [ ! -s stderr ] || { echo "the behaviour has changed"; exit 1; }
