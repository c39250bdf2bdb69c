"""Every command of the earlier command line has its library call, and the call gives its answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.commands.table import COMMANDS, described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalshi_lab.sim import Exchange

START = datetime(2026, 11, 22, 15, tzinfo=UTC)
SERIES = "KXHIGHNY"


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the calls may name: a lab with an account that has traded, and things to ask for."""
    world = {"start": START, "clock": "frozen", "markets": 200}
    with kl.Lab("sim", writable=True, home=tmp_path, world=world) as lab:
        markets = lab.markets(series=SERIES)
        ticker = markets.sort((markets["yes_bid"] - 0.5).abs())["ticker"][0]
        market = lab.market(ticker)
        price = kl.Grid(market).snap(market.yes_ask, "bid")
        order = kl.NewOrder(ticker=ticker, side="bid", count=2, price=price, time_in_force="immediate_or_cancel")
        lab.kalshi.orders.create(order)
        lab.simulated.advance(3600)
        lab.sync("candlesticks", series=SERIES, since="5d", progress=False)
        collection = lab.kalshi.multivariate.list().frame()["collection_ticker"][0]
        yield {
            "kl": kl, "lab": lab, "series": SERIES, "ticker": ticker, "event": market.event_ticker, "collection": collection,
            "folder": tmp_path,
        }  # fmt: skip


@pytest.mark.long
def test_each_call_gives_what_its_command_printed(names: dict[str, Any]) -> None:
    """CLI (features 1.10): an importable equivalent for each of the 70, in their order, that returns data."""
    wrong = {}
    for one in COMMANDS:
        try:
            found = eval(compile(one.call, one.name, "eval"), names)  # noqa: S307 - the calls stand in the table
            if not one.holds(found):
                wrong[one.name] = repr(found)
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            wrong[one.name] = repr(error)
    assert wrong == {}


def test_no_command_is_left_out() -> None:
    """CLI (features 1.10): 70 commands, each once."""
    assert len({one.name for one in COMMANDS}) == len(COMMANDS) == 70


def test_the_table_that_is_read_is_the_one_that_is_run() -> None:
    """tests/README.md shows the table as `python -m tests.commands.table` prints it."""
    assert described() in (Path(__file__).parents[1] / "README.md").read_text("utf-8")


@pytest.fixture
def lab(exchange: Exchange, tmp_path: Path) -> Iterator[kl.Lab]:
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path) as made:
        yield made


NOWHERE: dict[str, Callable[[kl.Lab], Any]] = {
    "market": lambda lab: lab.market("KXNOSUCH-26NOV22"),
    "event": lambda lab: lab.event("KXNOSUCH"),
    "series": lambda lab: lab.one_series("KXNOSUCH"),
    "investigate": lambda lab: lab.investigate("KXNOSUCH-26NOV22"),
    "context": lambda lab: lab.context("KXNOSUCH-26NOV22"),
    "liquidity": lambda lab: lab.liquidity("KXNOSUCH-26NOV22"),
    "news": lambda lab: lab.news.track("KXNOSUCH-26NOV22"),
}
NOTHING: dict[str, Callable[[kl.Lab], Any]] = {
    "markets": lambda lab: lab.markets(series="KXNOSUCH"),
    "events": lambda lab: lab.events(series="KXNOSUCH"),
    "search": lambda lab: lab.search("xylophone quartet"),
    "quotes": lambda lab: lab.quotes(tickers="KXNOSUCH-26NOV22-B1"),
    "articles": lambda lab: lab.news.articles("KXNOSUCH"),
    "scan": lambda lab: lab.scan("new", series="KXNOSUCH").frame(),
    "theses": lambda lab: lab.theses(),
    "alerts": lambda lab: lab.alerts.list(),
}


def test_a_named_thing_that_is_missing_raises(lab: kl.Lab) -> None:
    """Lesson 56: a missing target raises NotFound (the earlier exit code 2)."""
    for asked in NOWHERE.values():
        with pytest.raises(kl.NotFound, match="KXNOSUCH"):
            asked(lab)


def test_a_question_without_an_answer_gives_an_empty_frame(lab: kl.Lab) -> None:
    """Lesson 56: an empty result is a frame with its columns and no rows (the earlier exit code 0)."""
    for name, asked in NOTHING.items():
        found = asked(lab)
        assert (found.height, bool(found.columns)) == (0, True), name
