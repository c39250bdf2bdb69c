"""`lab.stats()`: what was asked, how the way to each host stands, and every attempt of one request."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.lab.traffic import ATTEMPTS, HOSTS, STATS
from tests.door.raw_server import RawServer, free_port, reply
from tests.door.signed import headers
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

STATUS = {"exchange_active": True, "trading_active": True}


def lab_on(url: str, home: Path, **options: object) -> kl.Lab:
    return kl.Lab("prod", base_url=url, allow_unsafe_host=True, home=home, clock=FakeClock(roll=0.0), **options)


def test_a_request_is_found_by_the_id_that_its_error_shows(tmp_path: Path) -> None:
    """Metrics, request ids: the id of an error, or its beginning, gives each attempt of that request and of no other."""
    with RawServer(reply(STATUS), reply({}, 503)) as server, lab_on(server.url, tmp_path, attempts=3) as lab:
        lab.status()
        with pytest.raises(kl.Unavailable) as caught:
            lab.status()
        error = caught.value
        assert f"request {error.request_id}" in str(error)
        found = lab.stats(request=error.request_id)
        assert found.schema == ATTEMPTS
        assert found["attempt"].to_list() == [1, 2, 3]
        assert found["status"].to_list() == [503] * 3
        assert found["error"].unique().to_list() == ["Unavailable"]
        assert found["url"].unique().to_list() == [f"{server.url}/exchange/status"]
        assert lab.stats(request=error.request_id[:6]).equals(found)
        assert lab.stats("attempt").filter(operation="get_exchange_status").height == 4
        with pytest.raises(kl.UsageError, match="no attempt of request 'ffffffffffff0'"):
            lab.stats(request="ffffffffffff0")
    sent = [headers(request)["x-request-id"] for request in server.requests if b"/exchange/status" in request]
    assert sent[1:] == [error.request_id] * 3


def test_a_host_that_is_left_alone_says_until_when(tmp_path: Path) -> None:
    """Breaker: its state is in `stats()`, and by host with the time of the next try, which the error names too."""
    with lab_on(f"http://127.0.0.1:{free_port()}/trade-api/v2", tmp_path, attempts=1, breaker_failures=2) as lab:
        closed = lab.stats("host").row(0, named=True)
        assert (closed["breaker"], closed["until"]) == ("closed", None)
        for _ in range(2):
            with pytest.raises(kl.Unavailable):
                lab.status()
        with pytest.raises(kl.CircuitOpen) as caught:
            lab.status()
        found = lab.stats("host")
        assert found.schema == HOSTS
        host = found.row(0, named=True)
        assert (host["breaker"], host["until"], host["open_requests"]) == ("open", caught.value.until, 0)
        assert host["host"] == lab.stats()["host"][0]
        assert lab.stats()["breaker"].to_list() == ["open"]
        assert host["host"] in " ".join(text.get_text() for text in kl.charts.stats(lab.stats()).figure.texts)


def test_tokens_and_open_requests_are_those_of_the_door(tmp_path: Path) -> None:
    """Metrics: the rate budgets, what is left of them, and of the retries."""
    with RawServer(reply({}, 503), reply(STATUS)) as server, lab_on(server.url, tmp_path, tier="basic") as lab:
        before = lab.stats("host").row(0, named=True)
        lab.status()
        after = lab.stats("host").row(0, named=True)
    assert (before["rate"], before["tokens"], before["write_tokens"], before["retry_tokens"]) == (200, 600, 100, 100)
    assert (after["tokens"] < 600, after["retry_tokens"]) == (True, 96)  # 5 for the retry, 1 back for the success


def test_frames_keep_their_columns_when_nothing_was_asked(tmp_path: Path) -> None:
    """Empty frames have the same schema, and a word that is none is refused with the nearest."""
    with lab_on("http://127.0.0.1:9/trade-api/v2", tmp_path) as lab:
        assert lab.stats().schema == STATS
        assert lab.stats("attempt").schema == ATTEMPTS
        with pytest.raises(kl.UsageError, match="Did you mean 'host'"):
            lab.stats("hosts")  # type: ignore[arg-type]  # that is the mistake
        assert isinstance(pickle.loads(pickle.dumps(lab.stats())), pl.DataFrame)  # noqa: S301 - our own bytes
