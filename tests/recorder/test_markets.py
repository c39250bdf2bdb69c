"""Which markets a recording is about: checked before anything is opened, and joined by the new ones of its series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import AuthFailed, UsageError
from tests.recorder.conftest import wait

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim import Exchange

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "no market was given to record"),
    ({"tickers": []}, "0 tickers were given"),
    ({"tickers": "kxa-1"}, "Did you mean 'KXA-1'"),
    ({"tickers": ["KXA-1"], "channels": ["orderbook"]}, "unknown channel 'orderbook'. Did you mean 'orderbook_delta'"),
    ({"tickers": ["KXA-1"], "channels": []}, "no channel was given"),
    ({"tickers": ["KXA-1"], "channels": "fill"}, "unknown channel 'fill'"),
    ({"series": "KX/HIGH"}, "series 'KX/HIGH' is malformed"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_recording_is_checked_before_anything_is_opened(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    """Bad input is refused with what is allowed; no request is sent and no store is made."""
    with kl.Lab("demo", home=tmp_path) as lab:
        with pytest.raises(UsageError, match=said):
            lab.record(**given)
        assert not list(tmp_path.glob("*.duckdb"))
        assert lab.stats().is_empty()


def test_markets_that_are_not_there_are_refused(lab: kl.Lab, tmp_path: Path) -> None:
    """A ticker that the exchange does not know, and a series without an open market, are errors, and leave no recording."""
    with pytest.raises(UsageError, match="the exchange has no market KXNOWHERE-1"):
        lab.record(tickers=["KXNOWHERE-1", lab.markets(limit=1)["ticker"][0]])
    with pytest.raises(UsageError, match="no market of KXNOWHERE is open"):
        lab.record(series="KXNOWHERE")
    assert not list(tmp_path.glob("*.recording"))
    assert not lab.sql("SELECT count(*) FROM recordings").item()


def test_a_recording_without_a_key_is_refused(tmp_path: Path) -> None:
    """The stream needs a key, also for public channels; without one there is no recording."""
    with kl.Lab("demo", home=tmp_path) as lab:
        with pytest.raises(AuthFailed, match="needs a key"):
            lab.record(channels="market_lifecycle_v2")
        assert lab.table("recordings").is_empty()
        assert not list(tmp_path.glob("*.recording"))


def test_new_markets_of_the_series_join(lab: kl.Lab, upset: Exchange) -> None:
    """Markets that are created while a series is recorded are recorded too, and those of other series are not."""
    open_ones = lab.markets(limit=500)
    everything = lab.markets(limit=1000, status=None)
    events = lab.events(limit=200, status=None)
    series = dict(zip(events["event_ticker"], events["series_ticker"], strict=True))

    def of(frame: Any, ticker: str) -> list[str]:
        return [row["ticker"] for row in frame.to_dicts() if series.get(row["event_ticker"]) == ticker]

    chosen = next(
        ticker
        for ticker in dict.fromkeys(series.values())
        if 0 < len(of(open_ones, ticker)) < len(of(everything, ticker))
    )
    new = next(ticker for ticker in of(everything, chosen) if ticker not in of(open_ones, chosen))
    other = next(ticker for ticker in open_ones["ticker"] if ticker not in of(everything, chosen))
    with lab.record(series=chosen) as recording:
        assert set(recording.tickers) == set(of(open_ones, chosen))
        for ticker in (other, new):
            upset.publish(
                "market_lifecycle_v2", "market_lifecycle_v2", {"event_type": "created", "market_ticker": ticker}
            )
        wait(lambda: new in recording.tickers)
        assert other not in recording.tickers
        wait(lambda: not lab.sql("SELECT 1 FROM book_changes WHERE ticker = ?", [new]).is_empty())
    assert not lab.book(new).stale
    assert new in lab.table("recordings")["tickers"][0]
    assert sorted(lab.table("lifecycle")["event_type"].to_list())[:2] == ["created", "created"]


def test_markets_created_while_nobody_listened_join(lab: kl.Lab, upset: Exchange) -> None:
    """After a lost connection the series is listed again, so that no market is missed."""
    series = lab.events(limit=1)["series_ticker"][0]
    with lab.record(series=series) as recording:
        first = recording.tickers
        upset.reset_log()
        upset.stream_faults("drop")
        wait(lambda: recording.stats.gaps == 1)
        wait(lambda: any(request["path"].endswith("/markets") for request in upset.requests()))
    assert recording.tickers == first
