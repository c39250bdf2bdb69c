"""Planted arbitrages of the sim: what they are, and that a world without them is as it was."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.sim.world import World, microseconds


def test_nothing_is_planted_unless_asked_for() -> None:
    """By default every quote is what it was before there were plants."""
    world, bare = World(3, open_markets=150, history_days=0, arbitrages=2), World(3, open_markets=150, history_days=0)
    assert bare.planted() == []
    rows = np.arange(len(world.markets))
    step = world.paths.step(world.markets.event[rows], microseconds(world.start))
    still = world.quotes.still
    assert still is not None
    moving = still.size < 0
    for mine, other in zip(world.quotes.best(rows, step), bare.quotes.best(rows, step), strict=True):
        assert (mine[moving] == other[moving]).all()
        assert (mine[~moving] != other[~moving]).any()


def test_planted_quotes_stand_still_with_one_level_a_side() -> None:
    world = World(3, open_markets=150, history_days=0, arbitrages=3)
    for plant in world.planted():
        for ticker, side in plant["legs"]:
            row = world.names.find_market(ticker)
            books = [world.quotes.book(row, step, microseconds(world.start) + step) for step in (0, 500, 1000)]
            assert books[0] == books[1] == books[2]
            against = books[0][1] if side == "yes" else books[0][0]
            assert [size for _, size in against] == [int(Decimal(plant["contracts"]) * 100)]


def test_kinds_take_turns_and_every_one_pays() -> None:
    plants = World(11, open_markets=400, history_days=0, arbitrages=6).planted()
    assert {plant["kind"] for plant in plants} == {"nested", "no", "yes"}
    assert all(Decimal(plant["profit"]) > 0 for plant in plants)
    assert len({plant["event_ticker"] for plant in plants}) == 6


def test_more_than_the_world_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="Ask for more markets"):
        World(3, open_markets=150, history_days=0, arbitrages=500)
