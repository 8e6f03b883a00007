"""kafka-python computes checksums in C without the package crc32c, whose licence is the LGPL."""

from __future__ import annotations

import subprocess
import sys

CHECK = """
import sys, time
sys.modules["crc32c"] = None  # not installed
import streams.kafka.connection
from kafka.record.default_records import calc_crc32c
data = memoryview(bytearray(b"123456789" * 500_000))
began = time.process_time()
whole = calc_crc32c(data)
print(calc_crc32c(data[:9]), whole == calc_crc32c(bytes(data)), time.process_time() - began)
"""


def test_kafka_python_computes_checksums_fast_without_the_package_crc32c() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    short, same, seconds = done.stdout.split()
    assert int(short) == 0xE3069283, "the check value of CRC-32C"
    assert same == "True"
    assert float(seconds) < 0.5, "9 MB take 2 s in Python"
