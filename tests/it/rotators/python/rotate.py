"""Logs each line of standard input through one of Python's handlers: rotate.py HANDLER FILE."""

import gzip
import logging
import os
import shutil
import sys
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler

BYTES = 10_000
GENERATIONS = 5000


def gzipped(source, destination):
    """The rotator of the logging cookbook."""
    with open(source, "rb") as plain, gzip.open(destination, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.remove(source)


def handler(kind, file):
    if kind == "timed":
        return TimedRotatingFileHandler(file, when="S", encoding="utf-8")
    if kind.startswith("concurrent"):
        from concurrent_log_handler import ConcurrentRotatingFileHandler

        use_gzip = kind.endswith("gzip")
        return ConcurrentRotatingFileHandler(
            file, maxBytes=BYTES, backupCount=GENERATIONS, encoding="utf-8", use_gzip=use_gzip
        )
    rotating = RotatingFileHandler(file, maxBytes=BYTES, backupCount=GENERATIONS, encoding="utf-8")
    if kind == "rotating-gzip":
        rotating.namer = lambda name: name + ".gz"
        rotating.rotator = gzipped
    return rotating


def log_with(kind, file):
    if kind.startswith("loguru"):
        from loguru import logger

        logger.remove()
        compression = "gz" if kind.endswith("gzip") else None
        logger.add(file, format="{message}", rotation=BYTES, compression=compression)
        return logger.info
    logger = logging.getLogger("audit")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler(kind, file))
    return logger.info


def main():
    _, kind, file = sys.argv
    log = log_with(kind, file)
    sys.stdin.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        log(line.rstrip("\n"))


main()
