"""The exchange's process: it starts and ends with its owner, listens on loopback only, and says what it lacks."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from kalshi_lab import sim
from kalshi_lab.errors import UsageError
from kalshi_lab.sim.api import Api
from kalshi_lab.sim.app import Application
from kalshi_lab.sim.virtual import Bucket, VirtualClock
from kalshi_lab.sim.world import World

ROOT = Path(sim.__file__).parents[2]
PARENT = "from kalshi_lab import sim; x = sim.start(markets=100); print(x.port, flush=True); input()"


def _gone(port: int) -> bool:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_child_ends_with_its_parent() -> None:
    """When the process that started it is killed, the exchange goes too."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    port = int(parent.stdout.readline())
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _gone(port)
    parent.stdout.close()
    parent.stdin.close()


def test_runs_by_hand_until_sigterm() -> None:
    """`python -m kalshi_lab.sim` says where it listens, does not need its standard input, and ends on SIGTERM."""
    command = [
        sys.executable,
        "-m",
        "kalshi_lab.sim",
        "--markets=100",
        "--start=2027-01-05T12:00:00+00:00",
        "--clock=frozen",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    assert httpx.get(f"{said['url']}/exchange/status", trust_env=False).status_code == 200
    assert httpx.get(f"http://127.0.0.1:{said['port']}/sim/clock", trust_env=False).json() == {
        "now": "2027-01-05T12:00:00Z"
    }
    process.terminate()
    process.wait(10)
    assert _gone(said["port"])
    process.stdout.close()


def test_repr_and_stop() -> None:
    """An exchange is one line; stopping it twice is fine."""
    exchange = sim.start(markets=100)
    assert repr(exchange) == f"Exchange('http://127.0.0.1:{exchange.port}/trade-api/v2', running)"
    exchange.stop()
    exchange.stop()
    assert repr(exchange).endswith("stopped)")
    assert _gone(exchange.port)


def test_listens_on_loopback_only(exchange: sim.Exchange) -> None:
    """The process listens on 127.0.0.1 and on no other address."""
    sockets = psutil.Process(exchange._process.pid).net_connections(kind="inet")
    assert {(found.laddr.ip, found.laddr.port) for found in sockets if found.status == psutil.CONN_LISTEN} == {
        ("127.0.0.1", exchange.port)
    }


def test_bad_parameters_are_told() -> None:
    """What the child refuses reaches the caller in words, and nothing is left running."""
    with pytest.raises(UsageError, match="open_markets is 3"):
        sim.start(markets=3)
    with pytest.raises(UsageError, match=r"did not listen within 0\.01 s"):
        sim.start(markets=100, timeout=0.01)


def test_missing_server_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without starlette and uvicorn the error tells what to install."""
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else real(name))
    with pytest.raises(UsageError, match=r'needs uvicorn\. Install them: pip install "kalshi_lab\[demo\]"'):
        sim.start()


def test_import_loads_no_server() -> None:
    """Importing the package loads neither numpy nor the server packages; a name it lacks is an AttributeError."""
    code = "import sys; from kalshi_lab import sim; print(sorted({'numpy', 'starlette', 'uvicorn'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
    assert sim.World is World
    with pytest.raises(AttributeError, match="Nothing"):
        _ = sim.Nothing


@pytest.mark.long
def test_prerendered_pages_are_the_same(client: httpx.Client) -> None:
    """Pages made beforehand hold what the others do, and are sent plain."""
    with (
        sim.start(markets=1100, history_days=0, clock="frozen") as usual,
        sim.start(markets=1100, history_days=0, clock="frozen", prerender=True) as ready,
    ):
        for filters in ({}, {"status": "open"}, {"status": "open", "mve_filter": "exclude"}):
            cursor, pages = "", 0
            while cursor or not pages:
                params = {"limit": "1000", **filters, **({"cursor": cursor} if cursor else {})}
                mine, theirs = (client.get(f"{one.url}/markets", params=params) for one in (usual, ready))
                assert mine.content == theirs.content
                assert "content-encoding" not in theirs.headers
                cursor, pages = mine.json()["cursor"], pages + 1
            assert pages == (1 if "mve_filter" in filters else 2)


def test_delay_waits() -> None:
    """`delay_ms` passes before each answer."""
    with sim.start(markets=100, delay_ms=200) as slow:
        before = time.monotonic()
        httpx.get(f"{slow.url}/exchange/status", trust_env=False)
        assert time.monotonic() - before >= 0.2


def test_live_clock_runs_at_its_speed() -> None:
    """Virtual time follows the monotonic clock times the speed, or stands still."""
    ticks = iter([0.0, 2.0, 3.0])
    clock = VirtualClock(1_000_000, "live", 10.0, lambda: next(ticks))
    assert (clock.now(), clock.advance(0.5)) == (21_000_000, 31_500_000)
    frozen = VirtualClock(5, "frozen")
    assert (frozen.now(), frozen.advance(1)) == (5, 1_000_005)


def test_bucket_refills() -> None:
    """Tokens come back with time, up to what the bucket holds: three seconds' worth at small rates, one at large ones."""
    ticks = iter([0.0, 0.0, 0.0, 1.0, 1.0, 100.0, 100.0])
    bucket = Bucket(5.0, lambda: next(ticks))
    assert bucket.capacity == 15.0
    assert [bucket.take() for _ in range(6)] == [True, False, True, False, True, False]
    assert Bucket(12_000.0).capacity == 12_000.0


def test_control_answers_this_machine_only() -> None:
    """A caller from elsewhere is refused on the control paths."""
    world, clock = World(open_markets=100), VirtualClock(0)
    application = Application(Api(world, clock.now), clock, Bucket(100.0))

    def status(host: str) -> int:
        transport = httpx.ASGITransport(application, client=(host, 5))

        async def ask() -> int:
            async with httpx.AsyncClient(transport=transport, base_url="http://exchange") as caller:
                return (await caller.get("/sim/clock")).status_code

        return asyncio.run(ask())

    assert (status("10.0.0.9"), status("127.0.0.1")) == (403, 200)
