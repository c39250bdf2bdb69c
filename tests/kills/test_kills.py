"""A process that is killed at any moment loses nothing that was acknowledged, and the next one carries on from there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.sim import process
from tests.kills import campaign, checker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from kalshi_lab.sim import Exchange

SEED = 20261122
POINTS = campaign.POINTS
SHORT = "4d"  # window of trades
Wanted = dict[str, "pl.DataFrame"]


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """An exchange whose answers take a moment, so that a sync lasts."""
    with process.start(markets=300, clock="frozen", delay_ms=15) as running:
        yield running


@pytest.fixture(scope="module")
def wanted(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Wanted:
    made = checker.undisturbed(exchange, tmp_path_factory.mktemp("undisturbed"), SHORT)
    assert made["trades"].height > 5000
    return made


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("written", 1),
        ("ledger", 2),
        *(pytest.param(one, 2, marks=pytest.mark.kill) for one in POINTS if one != "ledger"),
    ],
)
def test_killed_inside_a_commit(exchange: Exchange, wanted: Wanted, tmp_path: Path, point: str, nth: int) -> None:
    """Ended at any named point of a transaction, the store holds all of it or nothing, and the rest follows.

    The first transaction is the one that makes the tables.
    """
    killed = checker.killed_at(exchange, tmp_path, SHORT, point, nth)
    assert (killed.last, killed.finished) == (point, False)
    checker.check(exchange, tmp_path, SHORT, wanted)


@pytest.mark.kill
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.kill) for seed in (1, 2))])
def test_killed_at_a_random_moment(exchange: Exchange, wanted: Wanted, tmp_path: Path, seed: int) -> None:
    """Killed at a random moment of its first second, a run is completed by the next one."""
    seconds = random.Random(SEED + seed).uniform(0.05, 1.0)
    checker.killed_after(exchange, tmp_path, SHORT, seconds)
    checker.check(exchange, tmp_path, SHORT, wanted)


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[campaign.Campaign]:
    with campaign.running(tmp_path_factory.mktemp("campaign"), SEED) as made:
        yield made


@pytest.mark.kill
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("what", "count"), [("kills", 10), ("presses", 4), ("fulls", 3), ("logs", 6)])
def test_the_short_campaign(sized: campaign.Campaign, what: str, count: int) -> None:
    """F24, F25, F21, F28: a few of each; `python tests/kills/campaign.py` is the whole of it."""
    print(getattr(sized, what)(count))
