"""The fault switchboard breaks exactly the answers it is told to, in the way it is told to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from kalshi_lab import sim


def test_status_faults_hit_and_pass(own: sim.Exchange, client: httpx.Client) -> None:
    """A fault skips `after` requests, hits `times`, and leaves other paths alone; headers and body are as asked."""
    own.faults("/markets", "status", status=503, times=2, after=1, headers={"Retry-After": "1"})
    found = [client.get(f"{own.url}/markets?limit=1") for _ in range(4)]
    assert [answer.status_code for answer in found] == [200, 503, 503, 200]
    assert (found[1].headers["retry-after"], found[1].json()["error"]["code"]) == ("1", "service_unavailable")
    own.faults("/historical/*", "status", status=418, body={"code": "odd"})
    assert client.get(f"{own.url}/markets?limit=1").status_code == 200
    odd = client.get(f"{own.url}/historical/cutoff")
    assert (odd.status_code, odd.json()) == (418, {"code": "odd"})
    own.faults("*", "status", times=100)
    assert client.get(f"{own.url}/series").status_code == 503
    own.faults()
    assert client.get(f"{own.url}/series").status_code == 200
    assert [row["status"] for row in own.requests()][:4] == [200, 503, 503, 200]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("drop", httpx.RemoteProtocolError), ("cut", httpx.RemoteProtocolError), ("reset", httpx.ReadError)],
)
def test_connections_break(own: sim.Exchange, kind: str, error: type[Exception]) -> None:
    """A dropped, cut or reset connection fails as such, and the next request is answered."""
    own.faults("/markets", kind)
    with httpx.Client(trust_env=False) as fresh:
        with pytest.raises(error):
            fresh.get(f"{own.url}/markets?limit=1")
        assert fresh.get(f"{own.url}/markets?limit=1").status_code == 200


def test_answers_are_damaged(own: sim.Exchange, client: httpx.Client) -> None:
    """Upkeep pages, cut JSON, late and slow answers, pages that loop and pages without rows."""
    url = f"{own.url}/markets"
    own.faults("/markets", "html")
    page = client.get(url)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    own.faults("/markets", "garbled")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        client.get(url, params={"limit": 1}).json()
    for kind in ("slow", "drip"):
        own.faults("/markets", kind, seconds=0.3)
        before = time.monotonic()
        assert client.get(url, params={"limit": 1}).json()["markets"]
        assert time.monotonic() - before > 0.25
    own.faults("/markets", "loop", times=2)
    first = client.get(url, params={"limit": 1}).json()["cursor"]
    following = [client.get(url, params={"limit": 1, "cursor": first}).json()["cursor"] for _ in range(3)]
    assert following[:2] == [first, first] != following[1:]
    own.faults("/markets", "empty")
    hollow = client.get(url, params={"limit": 1}).json()
    assert (hollow["markets"], bool(hollow["cursor"])) == ([], True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "status", "status": 7},
        {"kind": "slow", "seconds": -1},
        {"kind": "drop", "often": 1},
    ],
)
def test_bad_faults_are_refused(exchange: sim.Exchange, wrong: dict[str, Any]) -> None:
    """A fault that does not exist is refused and changes nothing."""
    with pytest.raises(UsageError, match="refused POST /sim/faults"):
        exchange.faults("/markets", **wrong)


def test_bad_steps_of_the_clock_are_refused(exchange: sim.Exchange) -> None:
    """The clock moves forward by finite seconds only."""
    with pytest.raises(UsageError, match="forward"):
        exchange.advance(-1)
