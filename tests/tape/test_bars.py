"""Bars, volume and spreads are those of a loop over the trades; the store's verbs and the functions over frames say the same."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.lab import tape as verbs
from kalshi_lab.store import Store, writes
from kalshi_lab.store.compact import STATE
from tests.tape.draws import START, trades

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)


def loop(frame: pl.DataFrame, every: timedelta) -> dict[tuple[str, datetime], dict[str, float]]:
    """Bars one trade at a time."""
    held: dict[tuple[str, datetime], list[tuple[datetime, float, float]]] = defaultdict(list)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for ticker, at, price, count in frame.select("ticker", "created_time", "yes_price", "count").iter_rows():
        held[ticker, epoch + (at - epoch) // every * every].append((at, price, count))
    made = {}
    for key, rows in held.items():
        rows.sort()
        prices = [price for _, price, _ in rows]
        volume = sum(count for _, _, count in rows)
        made[key] = {
            "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1], "n": len(rows), "volume": volume,
            "vwap": sum(price * count for _, price, count in rows) / volume,
        }  # fmt: skip
    return made


@pytest.mark.parametrize("every", ["7m", "1h", "1d"])
def test_bars_are_those_of_a_loop_over_the_trades(every: str) -> None:
    frame, _ = trades(1, bias=0.1, edge=0.01, events=6)
    result = kl.bars(frame, every=every)
    wanted = loop(frame, result.every)
    assert result.frame().height == len(wanted)
    for row in result.frame().iter_rows(named=True):
        one = wanted[row["ticker"], row["start"]]
        assert {name: row[name] for name in one} == pytest.approx(one)
    assert result.frame().equals(result.frame().sort("ticker", "start"))


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    times = [START, START + HOUR - timedelta(microseconds=1), START + HOUR]
    frame = pl.DataFrame(
        {"ticker": "A", "created_time": times, "yes_price": [0.1, 0.2, 0.3], "count": 1, "taker_outcome_side": "yes"}
    )
    made = kl.bars(frame, every="1h").frame()
    assert made["start"].to_list() == [START, START + HOUR]
    assert made["close"].to_list() == [0.2, 0.3]


def test_gaps_are_counted_and_filled_on_request() -> None:
    times = [START, START + 4 * HOUR, START + 5 * HOUR]
    frame = pl.DataFrame(
        {"ticker": "A", "created_time": times, "yes_price": [0.1, 0.2, 0.3], "count": 2, "taker_outcome_side": "no"}
    )
    result = kl.bars(frame, every="1h")
    assert result.frame()["gap"].to_list() == [0, 3, 0]
    filled = result.filled()
    assert filled["start"].to_list() == [START + place * HOUR for place in range(6)]
    assert filled["n"].to_list() == [1, 0, 0, 0, 1, 1]
    assert filled["close"].to_list() == [0.1, None, None, None, 0.2, 0.3]
    assert "3 intervals between" in repr(result)


def test_trades_of_one_microsecond_are_taken_by_price_whatever_their_order() -> None:
    frame = pl.DataFrame(
        {
            "ticker": "A",
            "created_time": [START] * 3,
            "yes_price": [0.3, 0.1, 0.2],
            "count": 1,
            "taker_outcome_side": "yes",
        }
    )
    for rows in (frame, frame.reverse()):
        assert kl.bars(rows).frame().select("open", "close").row(0) == (0.1, 0.3)


@pytest.mark.parametrize("every", ["0s", "0.5s", "100d", "soon"])
def test_what_is_no_interval_is_refused(every: str) -> None:
    with pytest.raises(kl.UsageError):
        kl.bars(trades(1, bias=0, edge=0, events=1)[0], every=every)


def test_bad_columns_are_named() -> None:
    frame, _ = trades(1, bias=0, edge=0, events=1)
    for bad, said in (
        (frame.drop("count"), "unknown column 'count'"),
        (frame.with_columns(pl.col("created_time").dt.replace_time_zone(None)), "no times with a zone"),
        (frame.with_columns(yes_price=pl.lit(None, pl.Float64)), "'yes_price': 30 rows hold nothing"),
        (frame.with_columns(yes_price=pl.lit("0.1234567")), "'yes_price': 30 rows hold no price"),
        (frame.with_columns(count=pl.lit(-1)), "'count': 30 rows hold no count"),
    ):
        with pytest.raises(kl.UsageError, match=said):
            kl.bars(bad)


def test_the_hours_of_a_profile_are_those_of_its_clock() -> None:
    frame, _ = trades(2, bias=0, edge=0, events=6)
    spread = frame.with_columns(  # over the end of summer time
        created_time=pl.col("created_time") - pl.duration(days=pl.int_range(pl.len()) % 40)
    )  # over the end of summer time
    for clock in ("America/New_York", "Asia/Kolkata", "UTC"):
        wanted: dict[int, float] = defaultdict(float)
        for at, count in spread.select("created_time", "count").iter_rows():
            wanted[at.astimezone(ZoneInfo(clock)).hour] += count
        made = kl.volume_profile(spread, by="hour", clock=clock).frame()
        assert dict(made.select("hour", "contracts").iter_rows()) == pytest.approx(wanted)
    by_day = kl.volume_profile(spread, by="weekday", clock="America/New_York").frame()
    assert by_day["n"].sum() == frame.height
    assert kl.volume_profile(spread, by="price", bins=4).frame()["share"].sum() == pytest.approx(1)
    with pytest.raises(kl.UsageError, match="no time zone"):
        kl.volume_profile(spread, by="hour", clock="America/Kalshi")


def planted_quotes(frame: pl.DataFrame, *, impact: float) -> pl.DataFrame:
    """A quote a minute before each trade, and one a minute after whose middle moved the taker's way."""
    sign = pl.when(pl.col("taker_outcome_side") == "yes").then(1.0).otherwise(-1.0)
    middle = pl.col("yes_price") - sign * 0.02
    before = frame.select("ticker", (pl.col("created_time") - timedelta(minutes=1)).alias("time"), middle.alias("mid"))
    after = frame.select(
        "ticker", (pl.col("created_time") + timedelta(minutes=1)).alias("time"), (middle + sign * impact).alias("mid")
    )
    return pl.concat([before, after]).with_columns(yes_bid=pl.col("mid") - 0.03, yes_ask=pl.col("mid") + 0.03)


def apart(frame: pl.DataFrame) -> pl.DataFrame:
    """Trades between 20 and 80 cents, ten minutes apart."""
    some = frame.filter(pl.col("yes_price").is_between(0.2, 0.8))
    times = pl.lit(START) + pl.duration(minutes=10 * pl.int_range(pl.len()))
    return some.with_columns(created_time=times.cast(pl.Datetime("us", "UTC")), yes_price=pl.col("yes_price").round(2))


def test_planted_spreads_are_recovered() -> None:
    frame = apart(trades(3, bias=0, edge=0, events=10)[0])
    result = kl.spreads(frame, planted_quotes(frame, impact=0.005), after="5m")
    one = result.overall.row(0, named=True)
    assert (one["effective"], one["realised"], one["impact"], one["quoted"]) == pytest.approx((0.04, 0.03, 0.01, 0.06))
    assert one["n"] == frame.height
    assert (result.frame()["effective"] - result.frame()["realised"] - result.frame()["impact"]).abs().max() < 1e-12
    assert result.plot().png().startswith(b"\x89PNG")


def test_a_quote_of_the_trades_own_moment_is_not_before_it_and_stale_or_unreal_ones_are_none() -> None:
    """CAL-1: nothing that the trade itself moved counts as known before it."""
    at = START + HOUR
    frame = pl.DataFrame({
        "event_ticker": ["E"], "ticker": ["A"], "created_time": [at], "yes_price": [0.5], "taker_outcome_side": ["yes"], "count": [1],
    })  # fmt: skip
    quotes: dict[str, Any] = {"ticker": ["A"] * 3, "time": [at - timedelta(minutes=2), at, at + timedelta(minutes=1)]}
    seen = pl.DataFrame(quotes | {"yes_bid": [0.40, 0.50, 0.50], "yes_ask": [0.44, 0.54, 0.54]})
    one = kl.spreads(frame, seen).overall.row(0, named=True)
    assert (one["effective"], one["realised"]) == pytest.approx((0.16, -0.04))
    late = kl.spreads(frame, seen, oldest="90s")
    assert dict(late.basis.excluded) == {"without a real quote before": 1}
    unreal = kl.spreads(frame, seen.with_columns(yes_bid=pl.Series([0.4, 0.5, 0.0])))
    assert dict(unreal.basis.excluded) == {"without a real quote after": 1}
    assert unreal.conclusion == "no trade with quotes around it"
    assert unreal.plot().png().startswith(b"\x89PNG")


class Desk(verbs.AsyncTape):
    """The verbs over a store alone."""

    def __init__(self, path: Path) -> None:
        self.store, self.clock = Store(path), SystemClock()


def kept(frame: pl.DataFrame, seen: pl.DataFrame, path: Path) -> Desk:
    """A store with these trades, their results, quotes and fees."""
    exact = {"yes_price": pl.Decimal(9, 6), "count": pl.Decimal(18, 2)}
    rows = frame.with_columns(
        pl.col("yes_price").round(6).cast(exact["yes_price"]), pl.col("count").cast(exact["count"]),
        trade_id=pl.int_range(pl.len()).cast(pl.String),
        taker_side=pl.col("taker_outcome_side"), is_block_trade=pl.lit(value=False),
    ).drop("event_ticker", "result")  # fmt: skip
    results = frame.group_by("ticker", "event_ticker").agg(pl.col("result").first()).sort("ticker")
    quotes = seen.select(
        "ticker",
        "time",
        *(pl.col(name).round(6).cast(pl.Decimal(9, 6)) for name in ("yes_bid", "yes_ask")),
        scope=pl.lit(""),
        gone=pl.lit(value=False),
    )
    events = results.select("event_ticker").unique().sort("event_ticker").with_columns(series_ticker=pl.lit("S"))
    series = pl.DataFrame({"ticker": ["S"], "fee_type": ["quadratic_with_maker_fees"], "fee_multiplier": [0.5]})
    desk = Desk(path)
    tables = {"trades": rows, "results": results, "quotes": quotes, "events": events, "series": series}

    def insert(connection: Any) -> None:
        for name, made in tables.items():
            writes.insert(connection, name, made)

    asyncio.run(desk.store.write(insert))
    return desk


def same(one: pl.DataFrame, other: pl.DataFrame) -> None:
    from polars.testing import assert_frame_equal

    assert_frame_equal(one, other, check_exact=True)


def test_the_store_and_the_frame_give_the_same_digits(tmp_path: Path) -> None:
    frame = apart(trades(5, bias=0.1, edge=0.01, events=12)[0])
    seen = planted_quotes(frame, impact=0.005)
    desk = kept(frame, seen, tmp_path / "kalshi.duckdb")
    fees = ("quadratic_with_maker_fees", Decimal("0.5"))

    async def ask() -> None:
        same((await desk.returns()).table, kl.returns(frame, fees=fees).table)
        same((await desk.returns(cluster=False)).overall, kl.returns(frame, fees=fees, cluster=None).overall)
        same((await desk.size_effects(sizes=(0, 5))).table, kl.size_effects(frame, sizes=(0, 5), fees=fees).table)
        same((await desk.longshots()).table, kl.longshots(frame).table)
        same(
            (await desk.longshots(weight="contract", cluster=False)).table,
            kl.longshots(frame, weight="contract", cluster=None).table,
        )
        same((await desk.spreads()).table, kl.spreads(frame, seen).table)
        same((await desk.bars(every="2h")).table, kl.bars(frame, every="2h").table)
        same((await desk.volume_profile(by="hour")).table, kl.volume_profile(frame, by="hour").table)
        ticker = frame["ticker"][0]
        assert (await desk.tape(ticker)).height == frame.filter(pl.col("ticker") == ticker).height
        same((await desk.bars(ticker, start=START, end=START + 9 * HOUR)).table,
             kl.bars(frame.filter(pl.col("ticker") == ticker, pl.col("created_time") < START + 9 * HOUR)).table)  # fmt: skip
        assert (await desk.returns(series="NONE")).conclusion == "no trades"

    asyncio.run(ask())


def test_bars_of_a_whole_store_come_by_days_and_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, _ = trades(6, bias=0.1, edge=0.01, events=8)
    desk = kept(
        frame,
        pl.DataFrame({"ticker": ["A"], "time": [START], "yes_bid": [0.1], "yes_ask": [0.2]}),
        tmp_path / "kalshi.duckdb",
    )
    monkeypatch.setattr(verbs, "WINDOW", 10)

    async def parts() -> list[pl.DataFrame]:
        return [part async for part in desk.stream_bars(every="1h")]

    made = asyncio.run(parts())
    assert len(made) == 3  # a day each
    ends = [(part["start"].min(), part["start"].max()) for part in made]
    assert all(one[1] < other[0] for one, other in pairwise(ends))
    whole = kl.bars(frame, every="1h").table
    same(pl.concat(made).sort("ticker", "start"), whole.drop("gap"))
    assert next(iter(verbs.BarStream(desk.stream_bars(every="1h")))).columns == made[0].columns


TAPE = """
SELECT ticker, created_time, yes_price, count,
       CASE WHEN NOT coalesce(is_block_trade, false) THEN taker_outcome_side END AS taker_outcome_side,
       coalesce(is_block_trade, false) AS is_block_trade
FROM trades WHERE ticker = $1 ORDER BY created_time, yes_price, count
"""


@pytest.mark.long
def test_the_copy_in_whole_numbers_gives_the_same_digits_until_it_no_longer_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was added since is read from the trades; after a prune everything is; however many markets are read at a time."""
    monkeypatch.setattr("kalshi_lab.lab.tape.WINDOW", 40)
    monkeypatch.setattr("kalshi_lab.lab.tape.SPAN", 90)
    frame, _ = trades(7, bias=0.1, edge=0.01, events=8)
    early, late = frame.head(150), frame.tail(frame.height - 150)
    seen = pl.DataFrame({"ticker": ["A"], "time": [START], "yes_bid": [0.1], "yes_ask": [0.2]})
    desk = kept(frame, seen, tmp_path / "kalshi.duckdb")

    def only(rows: int) -> None:
        asyncio.run(
            desk.store.write(
                lambda connection: connection.execute("DELETE FROM trades WHERE trade_id::INTEGER >= ?", [rows])
            )
        )

    async def curves() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        bars = await desk.bars(every="1h")
        return (
            bars.table,
            (await desk.longshots()).table,
            (await desk.longshots(cluster=False, start=START + 9 * HOUR)).table,
        )

    def wanted(rows: pl.DataFrame) -> None:
        later = rows.filter(pl.col("created_time") >= START + 9 * HOUR)
        for one, other in zip(
            asyncio.run(curves()),
            (kl.bars(rows).table, kl.longshots(rows).table, kl.longshots(later, cluster=None).table),
            strict=True,
        ):
            same(one, other)
        for ticker in rows["ticker"].unique():
            asked = asyncio.run(desk.store.read(TAPE, [ticker]))
            assert asyncio.run(desk.tape(ticker, exact=True)).equals(asked, null_equal=True)
            assert asked.height

    def state() -> list[tuple[int, bool]]:
        return asyncio.run(desk.store.read(STATE)).rows()

    only(early.height)
    asyncio.run(desk.store.vacuum(dry_run=False))  # rows have their places from the first on
    assert asyncio.run(desk.store.compact()) == early.height
    assert state() == [(150, True)]
    wanted(early)
    more = kept(frame, seen, tmp_path / "other.duckdb").store
    rows = asyncio.run(more.read("SELECT * FROM trades WHERE trade_id::INTEGER >= 150 ORDER BY trade_id::INTEGER"))
    asyncio.run(desk.store.write(lambda connection: writes.insert(connection, "trades", rows)))
    assert rows.height == late.height
    assert state() == [(150, False)]
    wanted(frame)
    assert asyncio.run(desk.store.compact()) == frame.height
    wanted(frame)
    asyncio.run(desk.store.prune(trades=START + 30 * HOUR, dry_run=False))
    assert state() == []
    wanted(frame.filter(pl.col("created_time") >= START + 30 * HOUR))
