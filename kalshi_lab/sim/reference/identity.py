"""Identifiers of things that have a row: the same in each run, and alike nowhere."""

from __future__ import annotations

from kalshi_lab.sim.draws import words
from kalshi_lab.sim.wire import uuid

MILESTONE, TARGET, PROGRAM, SOURCE = range(0x5245, 0x5249)


def identifier(seed: int, what: int, row: int) -> str:
    """The identifier of a row of a kind."""
    high, low = (int(words(seed, what, half, row)[0]) for half in (1, 2))
    return uuid(high & 0xFFFFFFFF_FFFF0FFF | 0x4000, low & 0x3FFFFFFF_FFFFFFFF | 0x80000000_00000000)
