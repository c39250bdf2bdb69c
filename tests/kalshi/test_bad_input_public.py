"""Bad questions to the public families are refused before anything is sent, with what is allowed and the nearest match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.kalshi.scripted import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

T = "KXHIGHNY-26NOV22-B50.5"
LOOK = "Tickers look like KXHIGHNY-26NOV22-B50.5"
LEG = 'Give (event, market, "yes" or "no")'
WHOLE = "Give 1 to 10 whole numbers from 0 to 9999: 5000 is the median"
PART = "Give a ticker or id of 1 to 200 characters"
TOGETHER = (
    "updated times cannot be filtered with event, tickers or combos. The exchange takes them with a series at most"
)
TYPES = "all, liquidity, volume, margin_maker_volume, margin_taker_volume"
LONG = "Start later, take a longer interval or fewer markets; lab.sync keeps long histories"

QUESTIONS: list[tuple[Callable[[kl.Kalshi], Any], str]] = [
    (
        lambda k: k.markets.list(created=("7d", None), status="closed"),
        "created times cannot be filtered with status closed. It goes with unopened or open, or with no status",
    ),
    (
        lambda k: k.markets.list(closes=("7d", None), status="open"),
        "close times cannot be filtered with status open. It goes with closed, or with no status",
    ),
    (
        lambda k: k.markets.list(settled=("7d", None), status="active"),
        "settled times cannot be filtered with status open. It goes with settled, or with no status",
    ),
    (
        lambda k: k.markets.list(updated=("7d", None), status="open"),
        "updated times cannot be filtered with status open. Leave the status out",
    ),
    (lambda k: k.markets.list(updated=("7d", None), event="KXA-1"), TOGETHER),
    (lambda k: k.markets.list(updated=("7d", None), tickers=[T]), TOGETHER),
    (lambda k: k.markets.list(updated=("7d", None), combos=True), TOGETHER),
    (lambda k: k.markets.list(updated=("7d", None), combos="only"), TOGETHER),
    (lambda k: k.markets.batch_candlesticks([T] * 101), "101 tickers were given. Give 1 to 100"),
    (lambda k: k.markets.batch_candlesticks([]), "0 tickers were given. Give 1 to 100"),
    (lambda k: k.markets.batch_candlesticks(["kxa"]), "ticker 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (
        lambda k: k.markets.candlesticks(T, "1m", since=0, until=60 * 10**6),
        f"1000000 periods would take 101 requests. {LONG}",
    ),
    (
        lambda k: k.historical.candlesticks(T, "1m", since=0, until=60 * 10**6, exact=True),
        f"1000000 periods would take 201 requests. {LONG}",
    ),
    (lambda k: k.events.candlesticks("kxa"), "event 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (lambda k: k.events.candlesticks("KXA-1", "2h"), "unknown interval '2h'. Did you mean '1h'? Allowed: 1m, 1h, 1d"),
    (lambda k: k.events.candlesticks("KXA-1", series="kxa"), "series 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (lambda k: k.events.metadata("a b"), f"event 'a b' is malformed. {LOOK}"),
    (lambda k: k.events.fee_changes(""), f"event '' is malformed. {LOOK}"),
    (lambda k: k.events.forecast_percentiles("KXA-1", []), f"percentiles [] cannot be asked for. {WHOLE}"),
    (lambda k: k.events.forecast_percentiles("KXA-1", [10_000]), f"percentiles [10000] cannot be asked for. {WHOLE}"),
    (lambda k: k.events.forecast_percentiles("KXA-1", [0.5]), f"percentiles [0.5] cannot be asked for. {WHOLE}"),  # type: ignore[list-item]  # the point
    (
        lambda k: k.events.forecast_percentiles("KXA-1", [1] * 11),
        f"percentiles [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] cannot be asked for. {WHOLE}",
    ),
    (lambda k: k.exchange.series_fee_changes("kxa"), "series 'kxa' is not in upper case. Did you mean 'KXA'?"),
    (
        lambda k: k.multivariate.list(status="opened"),  # type: ignore[arg-type]  # the point
        "unknown status 'opened'. Did you mean 'unopened'? Allowed: unopened, open, closed",
    ),
    (lambda k: k.multivariate.one("kxmve"), "collection 'kxmve' is not in upper case. Did you mean 'KXMVE'?"),
    (
        lambda k: k.multivariate.create_market("KXMVE", []),
        'a combo needs legs. Give (event, market, "yes" or "no") for each',
    ),
    (
        lambda k: k.multivariate.create_market("KXMVE", [("KXA-1", "KXA-1-B", "YES")]),  # type: ignore[list-item]  # the point
        "unknown side 'YES'. Did you mean 'yes'? Allowed: yes, no",
    ),
    (
        lambda k: k.multivariate.create_market("KXMVE", [("KXA-1", "yes")]),  # type: ignore[list-item]  # the point
        f"a leg of 2 parts. {LEG}",
    ),
    (lambda k: k.milestones.one(""), f"'' cannot be part of an address. {PART}"),
    (lambda k: k.milestones.one(None), f"'None' cannot be part of an address. {PART}"),  # type: ignore[arg-type]  # the point
    (lambda k: k.milestones.one(".."), f"'..' cannot be part of an address. {PART}"),
    (
        lambda k: k.milestones.list(limit=-1),
        "limit -1 is no number of rows. Give a whole number from 0, or None for all",
    ),
    (
        lambda k: k.milestones.list(starts_after="tomorrow"),
        'starts_after \'tomorrow\' is no time. Write it like "2026-11-22", "2026-11-22T14:00:00Z" or "7d"',
    ),
    (
        lambda k: k.structured_targets.list(ids=["t"] * 2001),
        "ids are 2001, or hold what is no id. Give 1 to 2000 texts",
    ),
    (lambda k: k.structured_targets.list(ids=[]), "ids are 0, or hold what is no id. Give 1 to 2000 texts"),
    (lambda k: k.live_data.batch(["m"] * 101), "milestones are 101, or hold what is no id. Give 1 to 100 texts"),
    (lambda k: k.live_data.batch([""]), "milestones are 1, or hold what is no id. Give 1 to 100 texts"),
    (
        lambda k: k.live_data.weather("nyc", last="15m", since="1h"),
        'weather takes a window or a last span. Give since and until, or last="15m"',
    ),
    (
        lambda k: k.live_data.weather("nyc", last="soon"),
        'last \'soon\' is no length of time. Write it like "15m", "24h", "7d" or "2w"',
    ),
    (
        lambda k: k.incentive_programs.list(status="activ"),  # type: ignore[arg-type]  # the point
        "unknown status 'activ'. Did you mean 'active'? Allowed: all, active, upcoming, closed, paid_out",
    ),
    (
        lambda k: k.incentive_programs.list(type="liquidty"),  # type: ignore[arg-type]  # the point
        f"unknown type 'liquidty'. Did you mean 'liquidity'? Allowed: {TYPES}",
    ),
]


@pytest.mark.parametrize(("ask", "message"), QUESTIONS, ids=[message[:40] for _, message in QUESTIONS])
def test_a_bad_question_is_not_sent(ask: Callable[[kl.Kalshi], Any], message: str, scripted: Any) -> None:
    """API-1, API-6, API-8: out of range, misspelt or not to be combined; the whole message, and no request leaves."""
    server = scripted(lambda _asked: Answer({}))
    with server.client() as client:
        with pytest.raises(kl.UsageError) as error:
            ask(client)
        assert str(error.value) == message
    assert server.asked == []


@pytest.mark.parametrize(
    ("windows", "status", "series"),
    [
        ({"created": (0, None)}, "open", None),
        ({"created": (0, None)}, "initialized", None),
        ({"closes": (0, None)}, "closed", None),
        ({"settled": (0, None)}, "finalized", "KXA"),
        ({"updated": (0, None)}, None, "KXA"),
        ({"updated": (0, None)}, None, None),
    ],
)
def test_what_goes_together_is_sent(
    windows: dict[str, Any], status: str | None, series: str | None, scripted: Any
) -> None:
    """API-1, lesson 3: each window with the statuses that the exchange takes it with, in either vocabulary; zero is a time."""
    server = scripted(lambda _asked: Answer({"markets": [], "cursor": ""}))
    with server.client() as client:
        client.markets.list(status=status, series=series, **windows).frame()
    name = {"closes": "close"}.get(*windows, next(iter(windows)))
    assert server.asked[0].params[f"min_{name}_ts"] == "0"
    assert server.asked[0].params["mve_filter"] == "exclude"
