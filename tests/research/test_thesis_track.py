"""How theses did over time and against the market: averages by time, what counts, intervals that hold, and no conclusion from a few."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import charts
from kalshi_lab.portal import PORTAL
from kalshi_lab.research import Thesis, ThesisMarket
from kalshi_lab.research.thesis import scoring, track, track_record
from kalshi_lab.research.thesis.record import HISTORY, PATH
from tests.research.desk import bar

if TYPE_CHECKING:
    from kalshi_lab.research.thesis import TrackRecord
    from tests.research.desk import Desk, Exchange

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
A, B, C = "KXA-1", "KXB-2", "KXC-3"
D = Decimal


def made(
    versions: list[tuple[float, str, float]], path: list[tuple[float, float | None, float | None]], result: str | None, *,
    end: float = 10, ticker: str = A, event: str | None = None, name: str = "t",
) -> Thesis:  # fmt: skip
    """A thesis from (hour, status, probability) of its versions, (hour, bid, ask) of its prices, and its result after `end` hours."""

    def at(hour: float) -> datetime:
        return NOW + timedelta(hours=hour)

    last = D(str(versions[-1][2]))
    market = ThesisMarket(
        ticker, ticker, last, NOW, D("0.4"), D("0.42"), None, result, event_ticker=event, ended_at=at(end)
    )
    rows = [(n, at(h), status, "", ticker, p, at(h), 0.4, 0.42) for n, (h, status, p) in enumerate(versions, 1)]
    return Thesis(
        name, len(versions), versions[-1][1], "x", NOW, NOW, (market,), history=pl.DataFrame(rows, schema=HISTORY, orient="row"),
        path=pl.DataFrame([(ticker, at(h), bid, ask, None) for h, bid, ask in path], schema=PATH, orient="row"),
    )  # fmt: skip


def looked(desk: Desk) -> TrackRecord:
    return PORTAL.call(track.looked(desk.kalshi, desk.store, desk.clock))


def test_scores_over_time_count_each_hour_once() -> None:
    """TH-1: two hours at 0.6, eight at 0.9, the market at 0.41 for five and 0.7 for five: averages by time, not by version."""
    score = made([(0, "active", 0.6), (2, "active", 0.9)], [(5, 0.69, 0.71)], "yes").score()
    assert score.held == pytest.approx((2 * 0.16 + 8 * 0.01) / 10)
    assert score.market_held == pytest.approx((5 * 0.59**2 + 5 * 0.3**2) / 10)
    assert score.n_held == 1
    assert "while active" in score._repr_html_()


def test_time_without_a_price_or_a_word_does_not_count() -> None:
    """TH-1: while it was abandoned, while nobody quoted both sides, and after the end, neither is scored."""
    thesis = made(
        [(0, "active", 0.6), (2, "abandoned", 0.6), (6, "active", 0.9)],
        [(1, None, None), (7, 0.69, 0.71), (9, 0.1, 0.2)],
        "yes",
        end=8,
    )
    found = thesis.score()
    # both known: hour 0 to 1 (0.6 against 0.41), 6 to 7 (0.9 against the quote of that version), 7 to 8 (0.9 against 0.7)
    assert found.held == pytest.approx((0.16 + 0.01 + 0.01) / 3)
    assert found.market_held == pytest.approx((0.59**2 + 0.59**2 + 0.09) / 3)
    assert made([(11, "active", 0.9)], [], "yes").score().unheld == {A: "it was not active before the end"}


def test_an_old_quote_tells_nothing_for_ever() -> None:
    """TH-1: a quote that no other follows counts for a day and no longer."""
    thesis = made([(0, "active", 0.6)], [], "yes", end=100)
    (market,) = thesis.markets
    assert track.held.held(thesis, market) == pytest.approx((0.16, 0.59**2, 86_400.0))


@pytest.mark.parametrize(
    ("forecast", "paid", "expected"),
    [("0.8", "1", -math.log(0.8)), ("0.8", "0", -math.log(0.2)), ("1", "1", 0.0), ("0", "1", math.inf), ("1", "0", math.inf),
     ("0.5", "0.25", math.log(2)), (None, "1", None), ("0.5", None, None)],
)  # fmt: skip
def test_the_log_score(forecast: str | None, paid: str | None, expected: float | None) -> None:
    """TH-1: nats, 0 for the certain truth, infinite for what was called impossible and happened, null where something is unknown."""
    given = [None if one is None else D(one) for one in (forecast, paid)]
    assert scoring.log_loss(*given) == (None if expected is None else pytest.approx(expected))


def test_skill_has_an_interval_from_two_events_on() -> None:
    """TH-1: markets of one event share their fate, so many of them make no interval."""
    alone = [("E", 0.1, 0.2), ("E", 0.3, 0.25), ("E", 0.2, 0.3)]
    assert scoring.skill_interval(alone) == (None, None)
    low, high = scoring.skill_interval([*alone, ("F", 0.1, 0.3), ("G", 0.05, 0.2)])
    assert low is not None
    assert high is not None
    assert low < 1 - 0.75 / 1.25 < high


def test_the_interval_of_skill_holds_on_known_truth() -> None:
    """TH-1: over 300 fixed draws of 60 events with known chances, the interval holds the true skill in about 95 of 100."""
    # you are off by 0.05 and the market by 0.15, so the expected losses are p (1 - p) and the squares of these
    spread = 0.5 - (0.8**3 - 0.2**3) / (3 * 0.6)  # the mean of p (1 - p), p uniform on 0.2 to 0.8
    truth, inside = 1 - (spread + 0.0025) / (spread + 0.0225), 0
    for seed in range(300):
        draws = random.Random(seed)
        rows = []
        for event in range(60):
            p = draws.uniform(0.2, 0.8)
            won = draws.random() < p
            rows.append((f"E{event}", (p + 0.05 - won) ** 2, (p + 0.15 - won) ** 2))
        low, high = scoring.skill_interval(rows)
        assert low is not None
        assert high is not None
        inside += low <= truth <= high
    assert 270 <= inside <= 297


def test_what_was_said_first_counts() -> None:
    """TH-1: a later word, nearer to the end, mends nothing; an abandoned thesis counts; drafts and the unsettled do not."""
    theses = [
        made([(0, "draft", 0.1), (1, "active", 0.3), (9, "active", 0.99)], [], "yes", name="late", event="E1"),
        made([(0, "active", 0.8), (1, "abandoned", 0.8)], [], "no", name="given up", ticker=B, event="E2"),
        made([(0, "draft", 0.5)], [], "yes", name="never said", ticker=C),
        made([(0, "active", 0.5)], [], None, name="open", ticker="KXD-4"),
        made([(0, "active", 0.5)], [], "void", name="void", ticker="KXE-5"),
    ]
    record = track_record(theses)
    assert record.table.select("name", "probability", "paid", "brier").rows() == [
        ("given up", 0.8, 0.0, pytest.approx(0.64)), ("late", 0.3, 1.0, pytest.approx(0.49)),
    ]  # fmt: skip
    assert dict(record.basis.excluded) == {"not settled": 1, "void or without a payout": 1, "never active": 1}
    first = record.scores.row(0, named=True)
    assert (first["n"], first["events"], first["you"]) == (2, 2, pytest.approx(0.565))
    assert first["market"] == pytest.approx((0.59**2 + 0.41**2) / 2)
    assert first["skill"] == pytest.approx(1 - 0.565 / ((0.59**2 + 0.41**2) / 2))


def events(count: int, own: float, *, alike: int = 1) -> TrackRecord:
    """A record of so many events, half of which happen, with `alike` markets each; you say `own` for what happens and 1 - own else."""
    theses = []
    for event in range(count):
        won = event % 2 == 0
        for market in range(alike):
            p = own if won else 1 - own
            noise = 0.02 * (event % 5)
            theses.append(
                made(
                    [(0, "active", round(p - noise, 4))],
                    [],
                    "yes" if won else "no",
                    ticker=f"E{event}-{market}",
                    event=f"E{event}",
                    name=f"n{event} {market}",
                )
            )
    return track_record(theses)


def test_few_events_conclude_nothing_however_good_they_look() -> None:
    """TH-1: ten times as many markets of the same few events are still few events, and the record says so."""
    for few in (events(5, 0.9), events(5, 0.9, alike=10), events(29, 0.9)):
        assert "too few to conclude anything" in few.conclusion
        assert not few.enough
    assert "better than the market" in events(40, 0.9).conclusion
    assert "worse than the market" in events(40, 0.15).conclusion
    assert events(40, 0.9).enough


def test_a_refuted_certainty_does_not_break_the_record() -> None:
    """TH-1: an infinite log score is said as such, the Brier scores beside it stand."""
    record = track_record(
        [
            made([(0, "active", 1.0)], [], "no", event="E1"),
            made([(0, "active", 0.2)], [], "no", ticker=B, event="E2", name="u"),
        ]
    )
    scores = record.scores.rows_by_key("measure", named=True, unique=True)
    assert scores[track.LOG]["you"] == math.inf
    assert scores[track.FIRST]["you"] == pytest.approx(0.52)
    assert record.plot().png().startswith(b"\x89PNG")
    assert "inf" in record._repr_html_()


def test_nothing_settled_is_no_record() -> None:
    """TH-1: without a settled market there are no scores, a table of the same columns, and still a picture and a card."""
    record = track_record([])
    assert (record.table.height, record.enough) == (0, False)
    assert record.conclusion == "nothing to compare with the market yet"
    assert record.scores["n"].to_list() == [0, 0, 0]
    assert record.plot().png().startswith(b"\x89PNG")
    assert "nothing to compare" in record._repr_html_()


def test_the_lab_looks_before_it_tells(desk: Desk, exchange: Exchange) -> None:
    """TH-1, TH-2: active theses are resolved by the exchange first; what was abandoned is judged too, and stays abandoned."""
    for ticker in (A, B):
        exchange.quote(ticker, "0.4000", "0.4200", event_ticker=ticker[:3])
        exchange.bars[ticker] = [bar(desk.clock.now() + timedelta(hours=1), "0.6000", "0.6200")]
    desk.thesis("kept", tickers=A, probability=0.7, because="x")
    desk.thesis("given up", tickers=B, probability=0.7, because="x")
    desk.later(hours=2)
    desk.thesis("given up", status="abandoned")
    ended = (desk.clock.now() + timedelta(hours=1)).isoformat()
    for ticker in (A, B):
        exchange.settle(ticker, "yes", "1.0000")
        exchange.live[ticker]["close_time"] = ended
    desk.later(hours=5)
    record = looked(desk)
    told = record.table.select("name", "status", "result", "market", "held_hours").rows()
    assert told == [("given up", "abandoned", "yes", 0.41, 2.0), ("kept", "resolved", "yes", 0.41, 3.0)]
    assert record.table["market_held"].to_list() == pytest.approx(
        [(0.59**2 + 0.39**2) / 2, (0.59**2 + 2 * 0.39**2) / 3]
    )
    again = looked(desk)
    assert again.table.equals(record.table), "the prices that were looked up are kept"


def test_all_theses_are_looked_at_with_one_request(desk: Desk, exchange: Exchange) -> None:
    """TH-2: the markets of all theses, those that criteria name, too, are asked for together, each once; drafts ask for nothing."""
    for ticker in (A, B, "KXC-1", "KXD-1"):
        exchange.quote(ticker, "0.4000", "0.4200", event_ticker=ticker[:3])
    desk.thesis("one", tickers=[A, B], probability=0.7, because="x", invalidation=["price KXC-1 < 0.2"])
    desk.thesis("two", tickers=B, probability=0.6, because="x")
    desk.thesis("given up", tickers="KXC-1", probability=0.6, because="x")
    desk.thesis("given up", status="abandoned")
    desk.thesis("draft", tickers="KXD-1", probability=0.6, because="x", status="draft")
    desk.later(hours=2)
    exchange.quote("KXC-1", "0.1000", "0.1200")
    exchange.settle(B, "yes", "1.0000")
    before = len(exchange.asked("/markets"))
    record = looked(desk)
    (asked,) = exchange.asked("/markets")[before:]
    assert sorted(asked["tickers"].split(",")) == [A, B, "KXC-1"]
    assert record.table["name"].to_list() == ["one", "two"]
    assert [one.verdict for one in desk.thesis("one").checks] == ["met"]
    assert desk.theses().filter(name="two")["status"].to_list() == ["resolved"]


@pytest.mark.parametrize("title", ["a $x^2$ <script>alert(1)</script>", "", "\u202eevil", "x" * 500])
def test_pictures_of_odd_theses(title: str) -> None:
    """TH-1: one quote, none, and titles that would be formulas or markup are drawn as they are."""
    for path in ([], [(1.0, 0.4, 0.5)], [(1.0, None, None), (2.0, 0.4, None)]):
        thesis = made([(0, "active", 0.6)], path, "yes")
        shown = replace(thesis, markets=(replace(thesis.markets[0], title=title),))
        assert shown.plot().png().startswith(b"\x89PNG")
        assert "<script>" not in shown._repr_html_()
    bare: Any = made([(0, "active", 0.6)], [], None)
    empty = charts.thesis(bare.path, bare.history.clear(), title=title)
    assert empty.png().startswith(b"\x89PNG")
