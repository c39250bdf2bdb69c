"""Nothing that comes later can be seen: planted in every way that was thought of, with a strategy that would win by it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
N = 20
WINS = {f"M{n}": n % 2 == 0 for n in range(N)}
NOW = START + DAY
END = START + 3 * DAY


def world() -> dict[str, pl.DataFrame]:
    """Twenty markets at even odds; afterwards the quotes, trades and results say who won. One more is listed later."""
    rows, prints = [], []
    for ticker, wins in WINS.items():
        rows += [(ticker, START, 0.48, 0.52), (ticker, NOW + HOUR, *((0.9, 0.95) if wins else (0.05, 0.1)))]
        prints += [(ticker, START + HOUR, 0.5, 1.0, "yes"), (ticker, NOW + HOUR, 0.95 if wins else 0.05, 5.0, "yes")]
    rows.append(("LATER", NOW + HOUR, 0.48, 0.52))
    time = pl.Datetime("us", "UTC")
    markets = pl.DataFrame(
        [
            {"ticker": ticker, "event_ticker": ticker, "open_time": START, "title": "?", "result": "yes" if wins else "no",
             "settlement_value": 1.0 if wins else 0.0, "last_price": 0.99 if wins else 0.01, "volume": 9.0, "status": "finalized",
             "close_time": END if wins else END - HOUR, "expiration_value": str(wins)}
            for ticker, wins in WINS.items()
        ]
        + [{"ticker": "LATER", "event_ticker": "LATER", "open_time": NOW + HOUR, "title": "yes", "result": "yes"}],
        schema_overrides={"open_time": time, "close_time": time},
    )  # fmt: skip
    return {
        "quotes": pl.DataFrame(
            rows, schema={"ticker": pl.String, "time": time, "yes_bid": pl.Float64, "yes_ask": pl.Float64}, orient="row"
        ),
        "trades": pl.DataFrame(
            prints,
            schema={
                "ticker": pl.String,
                "time": time,
                "yes_price": pl.Float64,
                "count": pl.Float64,
                "taker_side": pl.String,
            },
            orient="row",
        ),
        "results": pl.DataFrame(
            [(t, END, "yes" if wins else "no", None) for t, wins in WINS.items()] + [("LATER", END, "yes", None)],
            schema={"ticker": pl.String, "time": time, "result": pl.String, "value": pl.Float64},
            orient="row",
        ),
        "markets": markets,
        "books": told(),
    }


def told() -> pl.DataFrame:
    """The books of the twenty markets: at even odds, and afterwards as they were won or lost."""
    rows = []
    for ticker, wins in WINS.items():
        for time, bid, ask in ((START, 0.48, 0.52), (NOW + HOUR, *((0.9, 0.95) if wins else (0.05, 0.1)))):
            rows += [(ticker, time, "bid", bid, 5.0), (ticker, time, "ask", ask, 5.0)]
    schema = {
        "ticker": pl.String,
        "time": pl.Datetime("us", "UTC"),
        "side": pl.String,
        "price": pl.Float64,
        "size": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def by_frame(name: str, column: str, wins: Callable[[Any], bool]) -> Callable[[kl.View], set[str]]:
    """Who would win by a column of one of the view's frames; nobody where it is not there."""

    def peek(view: kl.View) -> set[str]:
        frame = getattr(view, name)
        if column not in frame.columns:
            return set()
        return {row["ticker"] for row in frame.to_dicts() if row[column] is not None and wins(row[column])}

    return peek


def everything(thing: Any, depth: int = 6, seen: set[int] | None = None) -> list[Any]:
    """All values that can be reached from a thing by its attributes, items and closures."""
    seen = set() if seen is None else seen
    if depth == 0 or id(thing) in seen:
        return []
    seen.add(id(thing))
    found = [thing]
    if isinstance(thing, pl.DataFrame):
        return [thing, *(value for row in thing.rows() for value in row)]
    parts = [getattr(thing, one.name) for one in fields(thing)] if is_dataclass(thing) else []
    parts += list(thing.values()) if hasattr(thing, "values") and hasattr(thing, "keys") else []
    parts += list(thing) if isinstance(thing, list | tuple | set) else []
    parts += list(getattr(thing, "__dict__", {}).values())
    parts += [cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()]
    bound = getattr(thing, "__self__", None)
    parts += [bound] if bound is not None and not isinstance(bound, type) else []
    for name in dir(thing):
        if is_dataclass(thing) and not name.startswith("__") and callable(getattr(thing, name)):
            parts.append(getattr(thing, name))
    return found + [inner for part in parts for inner in everything(part, depth - 1, seen)]


WAYS: dict[str, Callable[[kl.View], set[str]]] = {
    "the result of a market that is not settled": by_frame("results", "result", lambda result: result == "yes"),
    "the settlement value": by_frame("markets", "settlement_value", lambda value: value == 1),
    "the result column of the listing": by_frame("markets", "result", lambda result: result == "yes"),
    "the last price as of the end": by_frame("markets", "last_price", lambda price: price > 0.5),
    "the value that decided": by_frame("markets", "expiration_value", lambda value: value == "True"),
    "a closing time that was moved when the outcome was known": by_frame(
        "markets", "close_time", lambda time: time == END
    ),
    "the volume and status of the end": by_frame("markets", "status", lambda status: status == "finalized"),
    "a quote of later": by_frame("quotes", "yes_bid", lambda bid: bid > 0.6),
    "the history of quotes": by_frame("past", "yes_bid", lambda bid: bid > 0.6),
    "one market's history": lambda view: {t for t in WINS if (view.history(t)["yes_bid"] > 0.6).any()},
    "a trade of later": by_frame("trades", "yes_price", lambda price: price > 0.6),
    "an order book of later": lambda view: {t for t, book in view.books.items() if book.yes_bid > Decimal("0.6")},
    "a market that is listed later": lambda view: set(view.markets["ticker"]) & {"LATER"},
    "whatever can be reached from the view": lambda view: {
        str(value) for value in everything(view) if isinstance(value, datetime) and value > view.time
    },
}


def spied(peek: Callable[[kl.View], set[str]], when: datetime = NOW) -> tuple[set[str], kl.Backtest]:
    seen: set[str] = set()

    def strategy(view: kl.View) -> list[Any]:
        found = peek(view)
        seen.update(found)
        return [view.buy(ticker, 1) for ticker in sorted(found & WINS.keys())]

    return seen, kl.backtest(strategy, **world(), times=[when], fees=None)


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_later_is_nowhere(way: str) -> None:
    """TH-7, lesson 40: fourteen ways of looking ahead, each of which would win every time."""
    seen, result = spied(WAYS[way])
    assert seen == set()
    assert result.trades.is_empty()


@pytest.mark.parametrize(
    "way",
    ["a quote of later", "the history of quotes", "one market's history", "a trade of later", "an order book of later"],
)
def test_the_same_ways_see_it_once_it_has_happened(way: str) -> None:
    """The ways are real ones: an hour later they find the winners."""
    seen, _ = spied(WAYS[way], NOW + HOUR)
    assert seen == {ticker for ticker, wins in WINS.items() if wins}


def test_results_are_seen_once_they_are_paid() -> None:
    seen, result = spied(WAYS["the result of a market that is not settled"], END)
    assert seen == {ticker for ticker, wins in WINS.items() if wins} | {"LATER"}
    assert set(result.refused["why"]) == {"no market that was open and known then"}


def test_an_order_for_a_market_of_later_is_refused() -> None:
    result = kl.backtest(lambda view: [view.buy("LATER", 1)], **world(), times=[NOW], fees=None)
    assert result.refused["why"].to_list() == ["no market that was open and known then"]


def test_a_view_that_is_kept_does_not_grow_and_cannot_be_changed() -> None:
    kept: list[kl.View] = []
    heights: list[int] = []

    def strategy(view: kl.View) -> None:
        kept.append(view)
        heights.append(view.past.height)

    kl.backtest(strategy, **world(), times=[NOW, NOW + HOUR, END + DAY], fees=None)
    assert [len(view.books) for view in kept] == [N, N, 0]
    assert {book.yes_bid for book in kept[0].books.values()} == {Decimal("0.48")}
    assert [view.past.height for view in kept] == heights == [N, 2 * N + 1, 2 * N + 1]
    with pytest.raises(FrozenInstanceError):
        kept[0].cash = 10**9  # type: ignore[misc]
    with pytest.raises(TypeError):
        kept[0].positions["M0"] = 5  # type: ignore[index]
    with pytest.raises(TypeError):
        kept[0].books["M0"] = None  # type: ignore[index]


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    """Lesson 41: a quote of 20:00 in New York is not one of 20:00 UTC."""
    frames = world()
    frames["quotes"] = frames["quotes"].with_columns(pl.col("time").dt.convert_time_zone("America/New_York"))
    result = kl.backtest(lambda view: [view.buy("M0", 1)], **frames, times=[NOW], fees=None)
    assert result.trades["price"].to_list() == [0.52]
