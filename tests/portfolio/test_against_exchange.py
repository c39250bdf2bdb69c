"""The ledger against the simulated exchange's own books, whatever members do, in any order of arrival."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest

from kalshi_lab import frames
from kalshi_lab.models.portfolio import Fill, Settlement
from kalshi_lab.portfolio.ledger import ledger
from kalshi_lab.sim.queries import Refused
from kalshi_lab.sim.world import World
from tests.sim.desk.conftest import Floor

if TYPE_CHECKING:
    from kalshi_lab.sim.desk.ledger import Account

TICKERS = ("KXHIGHNY-26NOV20-B51.5", "KXHIGHNY-26NOV20-T53", "KXBTCD-26NOV2017")
HISTORIES = 15


@pytest.fixture(scope="module")
def world() -> World:
    return World(open_markets=180, history_days=10)


def played(world: World, seed: int) -> tuple[Account, Floor]:
    """A member's random history: taking, resting, being hit, netting, turning around, settlements at any value, two subaccounts."""
    draw, floor = random.Random(seed), Floor(world)
    mine = floor.member("A", 100_000, direct=draw.random() < 0.5)
    floor.member("B", 100_000)
    for account in floor.members.values():
        account.subaccounts.add(1)
        account.add(1, 0, 10_000 * 1_000_000)
    rows = [row for row in (world.names.find_market(ticker) for ticker in TICKERS) if row is not None]
    for _ in range(draw.randint(2, 20)):
        row, side = draw.choice(rows), draw.choice(["bid", "ask"])
        low, high = draw.choice([(1, 99), (40, 99) if side == "bid" else (1, 60)])
        price = draw.randint(low, high) * 100 + (draw.randint(0, 9) * 10 if draw.random() < 0.2 else 0)
        word = draw.choice(["good_till_canceled", "immediate_or_cancel"])
        with suppress(Refused):  # off the grid, not paid for: nothing happened
            floor.place(
                draw.choice("AAB"), side, draw.randint(1, 900), price, ticker=floor.venue.market(row).ticker, time_in_force=word,
                subaccount=draw.choice([0, 0, 1]),
            )  # fmt: skip
        floor.advance(draw.choice([0.001, 0.001, 1, 60, 3600]))
    for row in rows:
        if draw.random() < 0.6:
            value = draw.choice([0, 10_000, draw.randint(1, 9_999)])
            floor.venue.clearing.pay(floor.venue.market(row), value, floor.clock.advance(1))
    return mine, floor


def read(record: type[Any], account: Account, name: str) -> pl.DataFrame:
    return frames.rows_to_batch(
        record, [msgspec.Raw(json.dumps(one.body).encode()) for one in account.kept(name)]
    ).frame


def agrees(account: Account, floor: Floor, fills: pl.DataFrame, paid: pl.DataFrame) -> int:
    """Compare each position with the ledger's, to the last digit; how many there were."""
    found = ledger(fills, paid, method="average")
    rows = {(row["subaccount_number"], row["ticker"]): row for row in found.table.iter_rows(named=True)}
    compared = 0
    for (subaccount, number), position in account.positions.items():
        if not position.traded:
            continue
        row = rows.pop((subaccount, floor.venue.market(number).ticker))
        sums = (row["position"] * 100, *(row[name] * 1_000_000 for name in ("cost", "gross", "fees", "traded")))
        assert sums == (position.held, position.cost, position.realized, position.fees, position.traded), row["ticker"]
        assert row["complete"]
        compared += 1
    assert not rows
    return compared


@pytest.mark.parametrize("first", [0, pytest.param(HISTORIES, marks=pytest.mark.long)])
def test_the_ledger_equals_the_exchange(world: World, first: int) -> None:
    """PF-5, PF-6: positions, cost, profit and fees of random histories are the exchange's, in any order of arrival."""
    compared = 0
    for seed in range(first, HISTORIES if not first else 1_000):
        account, floor = played(world, seed)
        fills, paid = read(Fill, account, "fills"), read(Settlement, account, "settlements")
        mixed = pl.concat([fills.sample(fraction=1, shuffle=True, seed=seed), fills.head(seed % 5)])
        compared += agrees(account, floor, mixed, paid.reverse())
    assert compared > HISTORIES


def test_all_methods_share_one_sum(world: World) -> None:
    """Lots differ by method, what all of them made once everything is closed does not."""
    for seed in range(1_000, 1_000 + HISTORIES):
        account, _ = played(world, seed)
        fills, paid = read(Fill, account, "fills"), read(Settlement, account, "settlements")
        tables = [ledger(fills, paid, method=method).table for method in ("fifo", "lifo", "average")]
        over = tables[0].filter(pl.col("position") == 0)["ticker"].to_list()
        sums = [table.filter(pl.col("ticker").is_in(over)).select("ticker", "gross", "net", "fees") for table in tables]
        assert sums[0].equals(sums[1])
        assert sums[0].equals(sums[2])


def test_cash_is_explained_by_the_lots(world: World) -> None:
    """Deposits, minus what lots cost, plus what they gave, minus fees, is the exchange's cash."""
    for seed in range(2_000, 2_000 + HISTORIES):
        account, _ = played(world, seed)
        fills, paid = read(Fill, account, "fills"), read(Settlement, account, "settlements")
        found = ledger(fills, paid)
        sums = [found.closings["gross"].sum(), -found.open["cost"].sum(), -found.table["fees"].sum()]
        own = sum((Decimal(value) for value in sums), Decimal(110_000))
        assert own * 1_000_000 == sum(account.funds.values())
