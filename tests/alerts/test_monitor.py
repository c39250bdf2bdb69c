"""An alert fires once, in whichever process looks first, and nothing stops the others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab.alerts import above, below
from kalshi_lab.alerts.kept import arm
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.portal import PORTAL
from tests.research.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.research.desk import Exchange

A, B = "KXA-1", "KXB-2"
CHECK = """
import json, sys
from pathlib import Path
from tests.research.desk import Desk

desk = Desk(sys.argv[1], Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
fired = desk.alerts.check()
desk.close()
print(json.dumps(fired.get_column("alert_id").to_list()))
"""


def note(desk: Desk, alert_id: str) -> tuple[str, str]:
    row = desk.alerts.list().row(by_predicate=pl.col("alert_id") == alert_id, named=True)
    return row["state"], row["note"]


def test_fires_once(desk: Desk, exchange: Exchange) -> None:
    """The alert is silent until the price moves, fires at the first look after, and never again."""
    exchange.quote(A, "0.4000", "0.4200")
    alert = desk.alerts.add(above(A, 0.62), label="CPI")
    assert desk.alerts.check().is_empty()
    assert note(desk, alert) == ("armed", "")
    exchange.quote(A, "0.6500", "0.6700")
    desk.later(minutes=5)
    fired = desk.alerts.check()
    assert fired.drop("message").to_dicts() == [
        {
            "alert_id": alert,
            "label": "CPI",
            "condition": "KXA-1 above 0.62",
            "time": desk.clock.now(),
            "what": "fired",
            "ticker": A,
            "yes_bid": 0.65,
            "yes_ask": 0.67,
        }
    ]
    assert desk.alerts.check().is_empty()
    exchange.quote(A, "0.4000", "0.4200")
    assert desk.alerts.check().is_empty()
    exchange.quote(A, "0.7000", "0.7200")
    assert desk.alerts.check().is_empty()
    assert desk.alerts.history().equals(fired)
    assert note(desk, alert)[0] == "fired"


def test_several_fire_together(desk: Desk, exchange: Exchange) -> None:
    """Of many alerts only those whose condition holds fire, each with its own quote."""
    exchange.quote(A, "0.7000", "0.7200")
    exchange.quote(B, "0.0300", "0.0500")
    high, low = desk.alerts.add(above(A, 0.62)), desk.alerts.add(below(B, 0.05))
    desk.alerts.add(below(A, 0.62))
    assert desk.alerts.check().select("alert_id", "ticker", "yes_bid").rows() == [(high, A, 0.7), (low, B, 0.03)]
    assert desk.alerts.list().get_column("state").to_list() == ["fired", "fired", "armed"]
    assert len(exchange.asked("/markets")) == 1


def test_the_same_condition_is_one_alert(desk: Desk, exchange: Exchange) -> None:
    """Adding an armed condition again gives its id; once it has fired it can be armed anew."""
    exchange.quote(A, "0.7000", "0.7200")
    first = desk.alerts.add(above(A, 0.62), label="one")
    assert desk.alerts.add(above(A, "0.620"), label="two") == first
    assert desk.alerts.list().select("alert_id", "label").rows() == [(first, "one")]
    assert desk.alerts.check().height == 1
    second = desk.alerts.add(above(A, 0.62))
    assert second != first
    assert desk.alerts.check().get_column("alert_id").to_list() == [second]


def test_what_is_no_quote_fires_nothing(desk: Desk, exchange: Exchange) -> None:
    """An empty side is no price of 0 or 100: the alert stays armed and the list says why."""
    alert = desk.alerts.add(above(A, 0.4))
    other = desk.alerts.add(below(A, 0.6))
    for bid, ask in (("0.0000", "1.0000"), ("0.9000", "1.0000"), ("0.0000", "0.0300"), ("0.5000", "0.5000")):
        exchange.quote(A, bid, ask)
        assert desk.alerts.check().is_empty()
        assert note(desk, alert) == note(desk, other) == ("armed", f"{A} is not quoted on both sides")


def test_a_missing_market_is_told(desk: Desk, exchange: Exchange) -> None:
    """A market that the exchange does not list leaves its alert armed, visibly, and stops no other."""
    lost, found = desk.alerts.add(above("KXNO-9", 0.5)), desk.alerts.add(above(A, 0.5))
    exchange.quote(A, "0.7000", "0.7200")
    assert desk.alerts.check().get_column("alert_id").to_list() == [found]
    assert note(desk, lost) == ("armed", "KXNO-9 is not listed by the exchange")
    exchange.quote("KXNO-9", "0.7000", "0.7200")
    assert desk.alerts.check().get_column("alert_id").to_list() == [lost]


@pytest.mark.parametrize("status", ["closed", "determined", "finalized"])
def test_an_alert_ends_with_its_market(desk: Desk, exchange: Exchange, status: str) -> None:
    """A market that is over cannot fire any more, whatever its last quote: the alert ends, once, and history has it."""
    alert = desk.alerts.add(above(A, 0.5))
    exchange.quote(A, "0.9000", "0.9200", status=status)
    assert desk.alerts.check().is_empty()
    assert note(desk, alert) == ("ended", "")
    assert desk.alerts.check().is_empty()
    assert desk.alerts.history().select("alert_id", "what", "ticker").rows() == [(alert, "ended", A)]
    assert len(exchange.asked("/markets")) == 1, "what has ended is not asked for"


def test_only_what_is_needed_is_asked(desk: Desk, exchange: Exchange) -> None:
    """Without armed alerts nothing is asked; with many, a hundred tickers a request, each once, combos among them."""
    assert desk.alerts.check().is_empty()
    assert exchange.requests == []
    names = [f"KXMVE-{number:03}" for number in range(230)]
    for name in names:
        exchange.quote(name, "0.7000", "0.7200")

    conditions = [*(above(name, 0.9) for name in names), below(names[0], 0.1), above(names[-1], 0.5)]
    now = desk.clock.now()
    PORTAL.call(desk.store.write(lambda connection: [arm(connection, each, "", now) for each in conditions]))
    assert desk.alerts.check().get_column("ticker").to_list() == [names[-1]]
    asked = exchange.asked("/markets")
    assert [len(query["tickers"].split(",")) for query in asked] == [100, 100, 30]
    assert sorted(ticker for query in asked for ticker in query["tickers"].split(",")) == names
    assert not any("mve_filter" in query for query in asked)


def test_remove(desk: Desk, exchange: Exchange) -> None:
    """A removed alert is out of the list and fires no more; what it did is still known; a wrong id is an error."""
    exchange.quote(A, "0.7000", "0.7200")
    fired = desk.alerts.add(above(A, 0.5))
    desk.alerts.check()
    armed = desk.alerts.add(above(A, 0.6))
    desk.alerts.remove(armed)
    desk.alerts.remove(fired)
    assert desk.alerts.list().is_empty()
    assert desk.alerts.check().is_empty()
    assert desk.alerts.history().get_column("alert_id").to_list() == [fired]
    with pytest.raises(UsageError, match=f"unknown alert '{armed}'"):
        desk.alerts.remove(armed)
    assert desk.alerts.add(above(A, 0.6)) not in {armed, fired}, "an id names one alert for ever"


def test_a_later_versions_alert_stops_nothing(desk: Desk, exchange: Exchange) -> None:
    """A condition of a kind that this version does not know is left alone, told in the list, and the others fire."""
    exchange.quote(A, "0.7000", "0.7200")
    good, odd = desk.alerts.add(above(A, 0.5)), desk.alerts.add(above(B, 0.5))
    text = json.dumps({"kind": "and", "parts": []})

    def change(connection: Any) -> None:
        connection.execute("UPDATE alerts SET kind = 'and', condition = $2 WHERE alert_id = $1", [odd, text])

    PORTAL.call(desk.store.write(change))
    assert desk.alerts.check().get_column("alert_id").to_list() == [good]
    assert note(desk, odd) == ("armed", "this version cannot read the condition")


def test_a_failed_look_loses_nothing(desk: Desk, exchange: Exchange) -> None:
    """Where the exchange fails the check says so and changes nothing; the next one fires."""
    exchange.quote(A, "0.7000", "0.7200")
    alert = desk.alerts.add(above(A, 0.5))
    exchange.broken.add("/markets")
    with pytest.raises(LabError):
        desk.alerts.check()
    assert desk.alerts.list().get_column("checked_at").to_list() == [None]
    exchange.broken.clear()
    assert desk.alerts.check().get_column("alert_id").to_list() == [alert]


def test_two_checks_at_once_fire_once(desk: Desk, exchange: Exchange, tmp_path: Path) -> None:
    """Two checks that both saw the price fire the alert once between them."""
    other = Desk(exchange.url, tmp_path)
    exchange.quote(A, "0.7000", "0.7200")

    async def both() -> list[pl.DataFrame]:
        return await asyncio.gather(*(each.async_alerts.check() for each in (desk, other, desk, other)))

    for turn in range(5):
        desk.alerts.add(above(A, 0.5))
        assert sum(frame.height for frame in PORTAL.call(both())) == 1
        assert desk.alerts.history().height == turn + 1
    other.close()


def test_two_processes_at_once_fire_once(desk: Desk, exchange: Exchange, tmp_path: Path) -> None:
    """Two processes over one store that are let go at the same moment fire the alert once between them."""
    exchange.quote(A, "0.7000", "0.7200")
    alert = desk.alerts.add(above(A, 0.5))
    command = [sys.executable, "-c", CHECK, exchange.url, str(tmp_path)]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    running = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], answers
    assert sorted(len(json.loads(said)) for said, _ in answers) == [0, 1]
    assert desk.alerts.history().get_column("alert_id").to_list() == [alert]


def test_frames_have_one_schema(desk: Desk, exchange: Exchange) -> None:
    """Lists, checks and histories have the same columns and types whether they hold rows or not."""
    empty = desk.alerts.list(), desk.alerts.check(), desk.alerts.history()
    exchange.quote(A, "0.7000", "0.7200")
    desk.alerts.add(above(A, 0.5))
    check = desk.alerts.check()
    full = desk.alerts.list(), check, desk.alerts.history()
    assert [frame.height for frame in empty] == [0, 0, 0]
    assert [frame.height for frame in full] == [1, 1, 1]
    assert [frame.schema for frame in empty] == [frame.schema for frame in full]


def test_only_conditions_are_added(desk: Desk) -> None:
    """Text is no condition."""
    with pytest.raises(UsageError, match="is no condition"):
        desk.alerts.add("KXA-1 above 0.62")  # type: ignore[arg-type]  # the mistake that is tried
