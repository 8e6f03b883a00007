"""Runs a trainer; `streams.training.child` starts it."""

from __future__ import annotations

import sys

from streams.training.process import main

main(int(sys.argv[1]))
