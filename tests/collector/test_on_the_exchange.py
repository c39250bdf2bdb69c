"""A collector in a notebook's way: a handle in the background of a blocking lab, on a simulated exchange whose clock runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import AsyncLab, Collector, Lab, StoreBusy, UsageError
from kalshi_lab.sim import Exchange, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SERIES = "KXHIGHNY"
RULES = "SELECT ticker, rules_primary, status FROM markets WHERE starts_with(ticker, 'KXHIGHNY')"


@pytest.fixture(scope="module")
def moving() -> Iterator[Exchange]:
    with process.start(markets=300) as started:
        started.advance(7200)
        yield started


@pytest.fixture
def lab(moving: Exchange, tmp_path: Path) -> Iterator[Lab]:
    moving.faults()
    with Lab("sim", base_url=moving.url, home=tmp_path, attempts=1, breaker_failures=1000) as made:
        yield made
    moving.faults()


def until(condition: Callable[[], object], made: Collector) -> None:
    """Until something is so, while the collector works."""
    end = time.monotonic() + 60
    while not condition():
        assert made.status.state in {"collecting", "waiting"}, made.status
        assert time.monotonic() < end, made.status
        time.sleep(0.02)


@pytest.mark.long
def test_it_works_in_the_background(lab: Lab) -> None:
    """DB-8: the handle tells how it goes while the lab goes on with other work; leaving its block stops it."""
    with lab.collect(every="1s", sync_every="1h", series=SERIES, trades=SERIES) as made:
        until(lambda: made.status.rounds >= 3, made)
        assert lab.markets(series=SERIES).height > 0
        assert made.status.next_round is not None or made.status.state == "collecting"
        assert repr(made).startswith(f"<Collector {made.collector} every 1 s: ")
        assert "rounds" in made._repr_html_()
    status = made.status
    assert (status.state, status.failed, status.last_error) == ("stopped", 0, None)
    assert status.rounds >= 3
    kept = lab.table("rounds").sort("round")
    assert kept["kind"].to_list() == ["sync"] + ["snapshot"] * (kept.height - 1)
    assert kept.height == status.rounds
    assert kept["rows"].sum() == status.rows
    assert kept["skipped"].sum() <= status.skipped
    gaps = kept["due_at"].diff().drop_nulls()[1:]
    assert all(gap.total_seconds() % 1 == 0 for gap in gaps), "rounds are due on a grid"
    assert lab.table("snapshots").height == kept.height
    for table in ("series", "events", "markets", "trades", "quotes"):
        assert lab.table(table).height > 0
    assert lab.sql("SELECT count(*) FROM ledger WHERE received <> stored + duplicate + quarantined").item() == 0


@pytest.mark.long
def test_it_survives_an_outage(lab: Lab, moving: Exchange) -> None:
    """P6: while the exchange is down its rounds fail, are counted and written down; when it is back the next one works."""
    with lab.collect(every="1s", series=SERIES) as made:
        until(lambda: made.status.rounds >= 1, made)
        moving.faults("*", "status", status=503, times=9_999)
        before = made.status.failed
        until(lambda: made.status.failed >= before + 2, made)
        assert "Unavailable" in repr(made.status)
        assert "Unavailable" in made.status._repr_html_()
        moving.faults()
        failed = made.status.rounds
        until(lambda: made.status.rounds >= failed + 3, made)
    errors = lab.sql("SELECT error <> '' AS failed FROM rounds ORDER BY round")["failed"].to_list()
    assert sum(errors) == made.status.failed >= 2
    assert errors[0] is errors[-1] is False


@pytest.mark.long
def test_the_lab_ends_it(moving: Exchange, tmp_path: Path) -> None:
    """A lab that is closed ends its collector, which lets the store go to the next one."""
    lab = Lab("sim", base_url=moving.url, home=tmp_path)
    made = lab.collect(series=SERIES)
    with pytest.raises(StoreBusy, match="another collector"):
        lab.collect(series=SERIES)
    lab.close()
    assert made.status.state == "stopped"
    with Lab("sim", base_url=moving.url, home=tmp_path) as again:
        status = again.collect(series=SERIES, rounds=1).wait()
    assert (status.state, status.rounds, status.failed) == ("done", 1, 0)


def test_it_awaits_as_well(moving: Exchange, tmp_path: Path) -> None:
    """The same words on the async face; it is begun once."""

    async def whole() -> Any:
        async with (
            AsyncLab("sim", base_url=moving.url, home=tmp_path) as lab,
            lab.collect(rounds=1, series=SERIES) as made,
        ):
            with pytest.raises(UsageError, match="started once"):
                await made.start()
            return await made.wait()

    status = asyncio.run(whole())
    assert (status.state, status.rounds, status.failed) == ("done", 1, 0)


def test_rules_are_archived_before_finalisation(lab: Lab, moving: Exchange) -> None:
    """Gap "rules archived before finalisation", F40, lesson 45: what the exchange stops telling of a final market is in the store by then.

    Every open market's rules are there after a round, also of one that opened since the last sync; an answer without them blanks
    nothing, and brings the result.
    """
    lab.collect(series=SERIES, rounds=1).wait()
    known = set(lab.sql(RULES)["ticker"])
    moving.advance(26 * 3600)
    lab.snapshot(series=SERIES)  # what a round without a sync does
    rules = {row["ticker"]: row for row in lab.sql(RULES).to_dicts()}
    fresh = set(lab.markets(series=SERIES)["ticker"]) - known
    assert fresh, "markets opened meanwhile"
    for ticker in lab.markets(series=SERIES)["ticker"]:
        assert rules[ticker]["rules_primary"], ticker
    chosen = next(iter(fresh))
    before = lab.sql("SELECT * FROM markets WHERE ticker = ?", [chosen]).row(0, named=True)
    over = {
        "ticker": chosen,
        "status": "finalized",
        "result": "yes",
        "yes_sub_title": "",
        "rules_primary": "",
        "rules_secondary": None,
    }
    moving.faults("/markets", "status", status=200, body={"markets": [over], "cursor": ""}, times=9)
    lab.collect(series=SERIES, rounds=1).wait()
    after = lab.sql("SELECT * FROM markets WHERE ticker = ?", [chosen]).row(0, named=True)
    assert (after["status"], after["result"]) == ("finalized", "yes")
    assert after["rules_primary"] == before["rules_primary"] != ""
    assert after["yes_sub_title"] == before["yes_sub_title"] != ""
    assert after["title"] == before["title"]
    assert lab.sql("SELECT result FROM results WHERE ticker = ?", [chosen]).item() == "yes"
