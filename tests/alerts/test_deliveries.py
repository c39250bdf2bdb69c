"""Alarms reach every sink, in the background and at least once, and each attempt is written down."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import StoreError, Unavailable, UsageError
from kalshi_lab.portal import PORTAL
from tests.alerts.hooked import ALARM, hook
from tests.research.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.research.desk import Exchange

A = "KXA-1"
KILLED = """
import os, signal, sys
from pathlib import Path
from kalshi_lab.alerts import above
from tests.research.desk import Desk

class Deadly:
    name = "told"
    async def send(self, alarm):
        if sys.argv[3] == "after":
            Path(sys.argv[2], "told.jsonl").open("a").write(alarm.event_id + "\\n")
        os.kill(os.getpid(), signal.SIGKILL)

desk = Desk(sys.argv[1], Path(sys.argv[2]))
desk.alerts.send_to(Deadly())
desk.alerts.add(above("KXA-1", 0.5))
desk.alerts.check()
import time; time.sleep(30)
"""


class Told:
    """A sink that a test commands: it fails as often as it is told to, then keeps what it is given."""

    def __init__(self, name: str = "told", *, failures: int = 0, error: Exception | None = None) -> None:
        self.name, self.failures, self.error = name, failures, error or Unavailable("nobody there")
        self.alarms: list[str] = []
        self.attempts = 0
        self.block: asyncio.Event | None = None

    async def send(self, alarm: kl.Alarm) -> None:
        self.attempts += 1
        if self.block is not None:
            await self.block.wait()
        if self.attempts <= self.failures:
            raise self.error
        self.alarms.append(alarm.event_id)


def until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def rows(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.alerts.deliveries().select("event_id", "sink", "state", "attempts").sort("event_id", "sink").rows()


def settled(desk: Desk, count: int = 1) -> list[tuple[Any, ...]]:
    until(lambda: len(rows(desk)) == count and all(state != "pending" for _, _, state, _ in rows(desk)))
    return rows(desk)


def fire(desk: Desk, exchange: Exchange, **options: Any) -> None:
    exchange.quote(A, "0.7000", "0.7200")
    desk.alerts.add(kl.above(A, 0.5), label="CPI", **options)
    assert desk.alerts.check().height == 1


def test_every_sink_is_told_once(desk: Desk, exchange: Exchange) -> None:
    """AL-3: each sink of the session has the event, and the table says so."""
    one, two = Told("one"), Told("two")
    desk.alerts.send_to(one, two)
    fire(desk, exchange)
    assert settled(desk, 2) == [("a1:1", "one", "sent", 1), ("a1:1", "two", "sent", 1)]
    assert (one.alarms, two.alarms) == (["a1:1"], ["a1:1"])


def test_an_alert_may_name_its_sinks(desk: Desk, exchange: Exchange) -> None:
    """`to=` chooses; the others are not told."""
    one, two = Told("one"), Told("two")
    desk.alerts.send_to(one, two)
    fire(desk, exchange, to="two")
    assert settled(desk) == [("a1:1", "two", "sent", 1)]
    assert (one.attempts, two.attempts) == (0, 1)


def test_a_sink_that_fails_is_asked_again_and_stops_nothing(desk: Desk, exchange: Exchange) -> None:
    """AL-3: a broken sink aborts neither the check nor the other sinks (the tool before lost the whole cycle), and is tried again."""
    shaky, broken, good = (
        Told("shaky", failures=2),
        Told("broken", failures=99, error=ZeroDivisionError("secret")),
        Told("good"),
    )
    desk.alerts.send_to(shaky, broken, good)
    fire(desk, exchange)
    assert settled(desk, 3) == [
        ("a1:1", "broken", "failed", 5),
        ("a1:1", "good", "sent", 1),
        ("a1:1", "shaky", "sent", 3),
    ]
    said = desk.alerts.deliveries().filter(sink="broken")["error"].item()
    assert said == "ZeroDivisionError"
    assert len(desk.clock.slept) == 2 + 4


def test_a_slow_sink_blocks_nobody(desk: Desk, exchange: Exchange) -> None:
    """AL-3: a check comes back while a sink is still at it (the tool before waited for its webhook)."""
    slow, good = Told("slow"), Told("good")
    slow.block = asyncio.Event()
    desk.alerts.send_to(slow, good)
    fire(desk, exchange)
    until(lambda: good.alarms == ["a1:1"])
    assert desk.alerts.check().is_empty()
    assert slow.alarms == []
    PORTAL.call(_release(slow.block))
    assert settled(desk, 2)[1] == ("a1:1", "slow", "sent", 1)


async def _release(block: asyncio.Event) -> None:
    block.set()


def test_what_nobody_told_is_told_by_the_next(desk: Desk, exchange: Exchange, tmp_path: Path) -> None:
    """An event without its delivery, as after a crash, is told by whoever has the sink next, with the same id."""
    fire(desk, exchange, to="told")
    assert rows(desk) == [("a1:1", "told", "pending", 0)]
    other, sink = Desk(exchange.url, tmp_path), Told()
    other.alerts.send_to(sink)
    assert settled(desk) == [("a1:1", "told", "sent", 1)]
    assert sink.alarms == ["a1:1"]
    other.close()


@pytest.mark.kill
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_it_tells(exchange: Exchange, tmp_path: Path, moment: str) -> None:
    """Killed before it is told, or before that is written down, an event is told by the next process: at least once, never another one."""
    exchange.quote(A, "0.7000", "0.7200")
    process = subprocess.run(
        [sys.executable, "-c", KILLED, exchange.url, str(tmp_path), moment], timeout=60, check=False
    )
    assert process.returncode == -signal.SIGKILL
    desk, sink = Desk(exchange.url, tmp_path), Told()
    assert rows(desk) == [("a1:1", "told", "pending", 1)]
    desk.alerts.send_to(sink)
    assert sink.attempts == 0, "somebody may be at it still"
    desk.later(minutes=4)
    desk.alerts.send_to(sink)
    assert settled(desk) == [("a1:1", "told", "sent", 2)]
    assert sink.alarms == ["a1:1"]
    desk.close()


def test_two_sessions_with_one_sink_share_the_work(desk: Desk, exchange: Exchange, tmp_path: Path) -> None:
    """Two processes with sinks of one name tell an event once between them."""
    other, one, two = Desk(exchange.url, tmp_path), Told(), Told()
    fire(desk, exchange, to="told")

    async def both() -> None:
        await asyncio.gather(desk.async_alerts.send_to(one), other.async_alerts.send_to(two))

    PORTAL.call(both())
    assert settled(desk) == [("a1:1", "told", "sent", 1)]
    assert [*one.alarms, *two.alarms] == ["a1:1"]
    other.close()


def test_what_is_no_sink_is_refused(desk: Desk) -> None:
    """A sink has a name and sends; two of one name cannot be told apart."""
    with pytest.raises(UsageError, match="no sink"):
        desk.alerts.send_to("slack")  # type: ignore[arg-type]  # the mistake that is tried
    with pytest.raises(UsageError, match="two sinks"):
        desk.alerts.send_to(Told(), Told())


def test_a_file_has_a_line_for_each(tmp_path: Path) -> None:
    """AL-3: JSON lines, whole ones however many write at once, on the disk before it counts."""
    sinks = [kl.ToFile(tmp_path / "alarms.jsonl") for _ in range(4)]

    async def all_of_them() -> None:
        await asyncio.gather(*(sink.send(ALARM) for sink in sinks for _ in range(25)))

    asyncio.run(all_of_them())
    lines = (tmp_path / "alarms.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [ALARM.row()] * 100
    (tmp_path / "gone").mkdir()
    lost = kl.ToFile(tmp_path / "gone" / "alarms.jsonl")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StoreError, match="cannot be written"):
        asyncio.run(lost.send(ALARM))
    for nowhere in (tmp_path, tmp_path / "no" / "folder.jsonl"):
        with pytest.raises(UsageError):
            kl.ToFile(nowhere)


def test_a_notebook_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    """AL-3: shown where there is a notebook, escaped; printed where there is none."""
    shown: list[Any] = []
    sink = kl.ToNotebook(show=shown.append)
    asyncio.run(sink.send(ALARM))
    nasty = kl.Alarm(**{name: getattr(ALARM, name) for name in kl.Alarm.__dataclass_fields__} | {"label": "<script>"})
    asyncio.run(sink.send(nasty))
    assert [repr(one) for one in shown] == [ALARM.text, nasty.text]
    assert "<script>" not in shown[1]._repr_html_() + sink._repr_html_()
    asyncio.run(kl.ToNotebook().send(ALARM))
    assert capsys.readouterr().out == f"{ALARM.text}\n"


@pytest.fixture
def service() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A service that apprise knows: it takes JSON, and refuses what is sent to /refuse."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/refuse" else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep the output of tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_port, told
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of apprise's own imports
def test_apprise_brings_it_to_its_services(service: tuple[int, list[dict[str, Any]]]) -> None:
    """AL-3: through apprise itself to a real service; what that refuses is an error, and the address is shown nowhere."""
    pytest.importorskip("apprise")
    port, told = service
    sink = kl.ToApprise("json://" + f"user:s3cret@127.0.0.1:{port}/take")
    asyncio.run(sink.send(ALARM))
    assert (told[0]["title"], told[0]["message"]) == ("Kalshi: CPI", ALARM.text)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(kl.ToApprise("json://" + f"user:s3cret@127.0.0.1:{port}/refuse").send(ALARM))
    assert "s3cret" not in repr(sink) + sink.name + str(caught.value)
    with pytest.raises(UsageError, match="no such address") as caught_:
        kl.ToApprise("nonsense://s3cret@x")
    assert "s3cret" not in str(caught_.value)


def test_the_store_has_no_address(
    desk: Desk, exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S10: of a webhook the store and the log have the name alone."""
    with hook(tmp_path, monkeypatch) as (sink, _, _):
        desk.alerts.send_to(sink)
        fire(desk, exchange)
        settled(desk)
    assert b"T0SECRET" not in (tmp_path / "kalshi.duckdb").read_bytes()
