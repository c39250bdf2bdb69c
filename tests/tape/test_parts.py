"""Questions that hold something of every event are asked of some events at a time, and give the same digits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab.analysis.tape import chosen, from_store
from kalshi_lab.lab import parts
from kalshi_lab.store import Store
from kalshi_lab.store.connection import fetch
from tests.export import synthetic
from tests.export.samples import DAY, add

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.sim import Exchange
    from kalshi_lab.store.connection import Connection

TRADES = 20_000
QUESTIONS: dict[str, dict[str, Any]] = {
    "all": {}, "contracts": {"weight": "contract"},
    "some days": {"start": "2026-02-03", "end": "2026-03-01"}, "a series": {"series": "KXAAD"},
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    """A store of made-up trades of 400 events, and one trade of a market that nobody knows."""
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path_factory.mktemp("parts")) as made:
        store = Store(made.store.path)
        synthetic.fill(store, TRADES, 2_000)
        add(store, [("odd", "KXODD-1", DAY, "0.5", "1")])
        yield made


def found(connection: Connection) -> list[int]:
    """How many trades each part has."""
    tape = from_store(("cluster", "price", "won"), chosen(start=DAY.replace(year=2020)))
    made = parts.parts_of_events(connection, [DAY.replace(year=2020)])
    return [fetch(connection, part.of(tape), part.parameters).height for part in made]


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("copied", [False, True])  # in this order: the copy stays
def test_events_in_parts_give_the_digits_of_all_at_once(
    lab: kl.Lab, monkeypatch: pytest.MonkeyPatch, name: str, copied: bool
) -> None:
    """DB-9 growth: intervals, the line and the basis, over the trades and over the copy in whole numbers."""
    if copied:
        lab.store.compact()
    whole = lab.longshots(**QUESTIONS[name])
    monkeypatch.setattr(parts, "AT_ONCE", 1_500)
    apart = lab.longshots(**QUESTIONS[name])
    assert whole.table.height > 1
    assert whole.slope is not None
    assert_frame_equal(whole.table, apart.table, check_exact=True)
    assert (whole.slope, whole.basis) == (apart.slope, apart.basis)


def test_each_trade_is_in_one_part(lab: kl.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-9 growth: those of markets that nobody knows too; a part has about as many as were asked for."""
    store = Store(lab.store.path)
    assert asyncio.run(store.look(found)) == [TRADES + 1]
    monkeypatch.setattr(parts, "AT_ONCE", 1_500)
    sizes = asyncio.run(store.look(found))
    assert len(sizes) == 14
    assert sum(sizes) == TRADES + 1
    assert 0 < max(sizes) < 10 * 1_500


def test_a_store_without_results_is_one_part(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no event to part by."""
    store = Store(tmp_path / "kalshi.duckdb")
    add(store, [(f"t{place}", "KXODD-1", DAY, "0.5", "1") for place in range(3)])
    monkeypatch.setattr(parts, "AT_ONCE", 1)
    assert asyncio.run(store.look(found)) == [3]
