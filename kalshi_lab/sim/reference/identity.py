"""Identifiers of things that have a row: the same in each run, and alike nowhere."""

from __future__ import annotations

import numpy as np

from kalshi_lab.sim.draws import Ints, words
from kalshi_lab.sim.wire import uuid

MILESTONE, TARGET, PROGRAM, SOURCE = range(0x5245, 0x5249)
MARKET = 0x4D49


def identifier(seed: int, what: int, row: int) -> str:
    """The identifier of a row of a kind."""
    return identifiers(seed, what, np.array([row]))[0]


def identifiers(seed: int, what: int, rows: Ints) -> list[str]:
    """The identifiers of many rows of a kind."""
    high, low = (words(seed, what, half, rows).tolist() for half in (1, 2))
    return [
        uuid(first & 0xFFFFFFFF_FFFF0FFF | 0x4000, second & 0x3FFFFFFF_FFFFFFFF | 0x80000000_00000000)
        for first, second in zip(high, low, strict=True)
    ]
