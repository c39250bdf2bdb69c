"""What a sync keeps, and how it goes on, when the exchange fails in the middle."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from kalshi_lab import CursorLoop, RequestError, StalledPagination, StoreError, Unavailable
from tests.ingest import truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab import Lab
    from kalshi_lab.sim import Exchange

TRADES = "/markets/trades"
WINDOW = "3d"
LOOKS = 4  # pages read before a long sync, which tell how much it will be


def cursors(exchange: Exchange, path: str = TRADES) -> list[str]:
    """The cursors that pages were asked with, in order; empty for the first page."""
    asked = [request for request in exchange.requests() if request["path"] == path and request["status"] == 200]
    return [parse_qs(request["query"]).get("cursor", [""])[0] for request in asked][LOOKS:]


@pytest.mark.long
def test_a_sync_carries_on_where_it_failed(new_lab: Callable[[], Lab], upset: Exchange) -> None:
    """After an error in the middle the pages before it are kept, and the next sync goes on from there; only the last hour is read again."""
    lab = new_lab()
    upset.faults(TRADES, "status", status=503, times=99, after=LOOKS + 2)
    with pytest.raises(Unavailable):
        lab.sync("trades", since=WINDOW)
    assert lab.sql("SELECT max(page), sum(received)::BIGINT FROM ledger WHERE dataset = 'trades'").row(0) == (2, 2000)
    assert truth.count(lab, "trades") == 2000
    reached = lab.sql("SELECT next_cursor FROM ledger WHERE page = 2").item().removeprefix("live:")
    upset.faults()
    upset.reset_log()
    done = new_lab().sync("trades", since=WINDOW)
    assert reached in cursors(upset)
    assert done.resumed_pages == 2
    assert "resumed after 2 pages" in repr(done)
    truth.balanced(lab, done)
    whole = len(lab.trades(since=WINDOW, limit=None))
    assert truth.count(lab, "trades") == 2000 + done.stored == whole
    last_hour = len(lab.trades(since="1h", limit=None))
    assert done.received + 2000 <= whole + last_hour + 5  # the trades at the edges of both windows come twice


def test_a_sync_that_ended_begins_anew(lab: Lab, upset: Exchange) -> None:
    """A run that came to its end is never taken for one to carry on, nor is one with resume=False, which reads all anew."""
    lab.sync("trades", since=WINDOW)
    whole = cursors(upset)
    assert len(whole) >= 5
    assert lab.sync("trades", since=WINDOW).resumed_pages == 0
    upset.reset_log()
    upset.faults(TRADES, "status", status=503, times=99, after=LOOKS + 1)
    with pytest.raises(Unavailable):
        lab.sync("trades", since=WINDOW, resume=False)
    upset.faults()
    upset.reset_log()
    assert lab.sync("trades", since=WINDOW, resume=False).resumed_pages == 0
    assert cursors(upset) == whole


def test_the_newest_run_is_the_one_to_carry_on(lab: Lab, upset: Exchange) -> None:
    """Of two runs within one tick of the clock the later one counts: it is carried on although one before it ended."""
    lab.sync("trades", since=WINDOW)
    upset.advance(86_400 * 2)
    upset.faults(TRADES, "status", status=503, times=99, after=LOOKS + 1)
    with pytest.raises(Unavailable):
        lab.sync("trades", since=WINDOW)
    upset.faults()
    assert lab.sync("trades", since=WINDOW).resumed_pages == 1


def test_another_question_does_not_resume(lab: Lab, upset: Exchange) -> None:
    """An unfinished sync of one window is not carried on by a sync of another."""
    upset.faults(TRADES, "status", status=503, times=99, after=LOOKS + 2)
    with pytest.raises(Unavailable):
        lab.sync("trades", since=WINDOW)
    upset.faults()
    upset.reset_log()
    assert lab.sync("trades", since="1d").resumed_pages == 0
    assert cursors(upset)[0] == ""


@pytest.mark.long
@pytest.mark.parametrize(("seconds", "resumed"), [(3500, 3), (3700, 0)])
def test_half_a_listing_of_markets_grows_old(lab: Lab, upset: Exchange, seconds: int, resumed: int) -> None:
    """A listing that stopped less than an hour ago is carried on; later it is read anew, since it is another listing by then.

    The error of the walk that failed comes through, whatever became of the walk beside it.
    """
    upset.faults("/historical/markets", "status", status=503, times=99, after=1)
    upset.faults("/markets", "slow", seconds=2.0, times=2)  # the listing, and the count of combos beside it
    with pytest.raises(Unavailable):
        lab.sync("markets")
    upset.faults()
    upset.advance(seconds)
    done = lab.sync("markets")
    assert done.resumed_pages == resumed
    assert truth.count(lab, "markets") == lab.sql("SELECT count(DISTINCT ticker) FROM markets").item() > 3000


def test_pages_that_lead_back_are_a_loop(lab: Lab, upset: Exchange) -> None:
    """A cursor that comes again raises CursorLoop once what came before is kept, and the next sync is whole."""
    upset.faults(TRADES, "loop", times=1, after=1)
    with pytest.raises(CursorLoop, match="kept"):
        lab.sync("trades", since=WINDOW)
    assert truth.count(lab, "trades") == 3000
    done = lab.sync("trades", since=WINDOW)
    truth.balanced(lab, done)
    assert truth.count(lab, "trades") == len(lab.trades(since=WINDOW, limit=None))


def test_pages_without_rows_stall(lab: Lab, upset: Exchange) -> None:
    """Pages that stay empty are no end: the sync says so and keeps what it has."""
    upset.faults(TRADES, "empty", times=99, after=LOOKS + 1)
    with pytest.raises(StalledPagination):
        lab.sync("trades", since=WINDOW)
    assert truth.count(lab, "trades") == 1000


@pytest.mark.parametrize("fault", ["cut", "garbled", "drop", "reset", "html"])
def test_a_broken_page_leaves_no_rows(lab: Lab, upset: Exchange, fault: str) -> None:
    """A page that arrives damaged leaves nothing behind; the sync after it is whole."""
    upset.faults(TRADES, fault, times=9, after=LOOKS + 1)
    with pytest.raises(RequestError) as caught:
        lab.sync("trades", since="1d")
    assert caught.value.request_id
    assert truth.count(lab, "trades") == 1000
    upset.faults()
    truth.balanced(lab, lab.sync("trades", since="1d"))
    assert truth.count(lab, "trades") == len(lab.trades(since="1d", limit=None))


def test_rows_that_cannot_be_read_are_kept_aside(lab: Lab, upset: Exchange) -> None:
    """A row without its key or with an unreadable number is in the quarantine with its JSON and the reason, and the rest is stored."""
    rows = [
        {"trade_id": "good", "ticker": "A-1", "yes_price_dollars": "0.5600", "count_fp": "1.00"},
        {"ticker": "A-1", "yes_price_dollars": "0.5600"},
        {"trade_id": "odd price", "ticker": "A-1", "yes_price_dollars": "56 cents"},
        {"trade_id": "seven decimals", "ticker": "A-1", "yes_price_dollars": "0.1234567"},
        {"trade_id": "good", "ticker": "A-1", "yes_price_dollars": "0.5600", "count_fp": "1.00"},
        "no object",
    ]
    upset.faults(TRADES, "status", status=200, body={"trades": rows, "cursor": ""})
    done = lab.sync("trades", since="5h")
    truth.balanced(lab, done)
    assert (done.received, done.stored, done.duplicate, done.quarantined) == (6, 1, 1, 4)
    assert "4 QUARANTINED" in repr(done)
    aside = lab.table("quarantine")
    assert [json.loads(raw) for raw in aside["raw"]] == [rows[1], rows[2], rows[3], rows[5]]
    assert all(
        word in reason
        for word, reason in zip(["trade_id", "56 cents", "0.1234567", "str"], aside["reason"], strict=True)
    )
    assert set(aside["run_id"]) == {done.run_id}
    asked = lab.sql("SELECT request_id FROM ledger WHERE walk <> ''")["request_id"]
    assert set(aside["request_id"]) <= set(asked)


def test_new_fields_are_kept(lab: Lab, upset: Exchange) -> None:
    """A field that this version does not know is in `extra`, and the row is stored like any other."""
    row = {"trade_id": "new", "ticker": "A-1", "yes_price_dollars": "0.5600", "shade": {"of": "blue"}}
    upset.faults(TRADES, "status", status=200, body={"trades": [row], "cursor": ""})
    assert lab.sync("trades", since="5h").stored == 1
    assert json.loads(lab.table("trades")["extra"][0]) == {"shade": {"of": "blue"}}


def test_a_poorer_answer_blanks_nothing(lab: Lab, upset: Exchange) -> None:
    """F40: a later answer without a market's rules and series leaves those that an earlier one brought."""
    lab.sync("markets", series="KXHIGHNY", status="open")
    before = lab.table("markets").sort("ticker").row(0, named=True)
    upset.faults(
        "/markets",
        "status",
        status=200,
        body={"markets": [{"ticker": before["ticker"], "status": "closed"}], "cursor": ""},
    )
    lab.sync("markets", tickers=[before["ticker"]], status="closed")
    after = lab.sql("SELECT * FROM markets WHERE ticker = ?", [before["ticker"]]).row(0, named=True)
    moved = {name for name in before if before[name] != after[name]}
    assert moved - {"run_id", "seen_at"} == {"status"}


@pytest.mark.long
def test_no_transaction_is_open_while_the_exchange_is_slow(
    lab: Lab, new_lab: Callable[[], Lab], upset: Exchange
) -> None:
    """F39: while a sync waits for a page, others write to the same store without waiting for it."""
    upset.faults(TRADES, "slow", seconds=4.0, times=1, after=LOOKS + 1)
    began = time.monotonic()
    waiting = threading.Thread(target=lambda: lab.sync("trades", since="1d"))
    waiting.start()
    other = new_lab()
    longest = 0.0
    while time.monotonic() - began < 1.5:
        start = time.monotonic()
        other._call(
            other._twin.store.write(
                lambda c: c.execute("INSERT INTO alert_events VALUES ('a', now(), 'w', 't', 0, 1, 'm', 'a:1')")
            )
        )
        longest = max(longest, time.monotonic() - start)
        time.sleep(0.02)
    assert waiting.is_alive()
    waiting.join(30)
    assert longest < 1.0
    assert truth.count(lab, "trades") > 1000


def test_a_store_that_fails_ends_the_sync(lab: Lab, upset: Exchange) -> None:
    """An error of the writer ends the sync at once, also while many pages wait for it; what was committed stays."""
    commits = []

    def fails_later(point: str) -> None:
        if point == "rows":
            commits.append(point)
            time.sleep(0.5)  # so that more pages wait than the queue holds
            if len(commits) > 1:
                raise StoreError("full")

    lab._twin.store.reached = fails_later
    with pytest.raises(StoreError, match="full"):
        lab.sync("trades", since="20d")
    lab._twin.store.reached = lambda _point: None
    done = lab.sync("trades", since="20d")
    truth.balanced(lab, done)
    assert done.resumed_pages > 0
    assert truth.count(lab, "trades") == lab.sql("SELECT sum(stored)::BIGINT FROM ledger").item()
    assert len(upset.requests()) > 20
