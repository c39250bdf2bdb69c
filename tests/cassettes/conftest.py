"""Recorded HTTP of the public families: replayed without a server, recorded anew from the sim (--record) or the exchange (--live).

pytest tests/cassettes              replays
pytest tests/cassettes --record     records from the simulated exchange, over real HTTP
pytest tests/cassettes --live       also asks the real exchange, and records what it answers
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import vcr  # type: ignore[import-untyped]  # it ships no types

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vcr.request import Request  # type: ignore[import-untyped]  # as above

FOLDER = Path(__file__).parents[2] / "cassettes"
ADDRESS = "http://127.0.0.1:9/trade-api/v2"  # nobody listens there: what is not in a cassette fails
KEPT_HEADERS = {"request": {"accept"}, "response": {"content-type"}}


def scrubbed_request(request: Request) -> Request:
    """The request under the fixed address, without headers but Accept."""
    parts = urlsplit(request.uri)
    request.uri = ADDRESS + parts.path.partition("/trade-api/v2")[2] + (f"?{parts.query}" if parts.query else "")
    request.headers = {
        name: value for name, value in request.headers.items() if name.lower() in KEPT_HEADERS["request"]
    }
    return request


def scrubbed_response(response: dict[str, Any]) -> dict[str, Any]:
    """The response without headers but its type."""
    kept = {name: value for name, value in response["headers"].items() if name.lower() in KEPT_HEADERS["response"]}
    return {**response, "headers": kept}


def recorder(*, record: bool) -> vcr.VCR:
    """The recorder: reads cassettes only, unless it records."""
    return vcr.VCR(
        serializer="json",
        record_mode="all" if record else "none",
        match_on=("method", "path", "query"),
        decode_compressed_response=True,
        before_record_request=scrubbed_request,
        before_record_response=scrubbed_response,
    )


@pytest.fixture(params=["recorded", pytest.param("live", marks=pytest.mark.live)])
def kalshi(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[kl.Kalshi]:
    """A client whose answers come from the cassette that is named after the test."""
    name = request.function.__name__.removeprefix("test_") + ".json"
    live, record = request.param == "live", request.config.getoption("--record")
    if not live and not record:
        yield from replayed(FOLDER / name)
        return
    url = "" if live else request.getfixturevalue("exchange").url
    failed = request.session.testsfailed
    with recorder(record=True).use_cassette(str(tmp_path / name)), kl.Kalshi(source(url)) as client:
        yield client
    if request.session.testsfailed == failed:  # what fails leaves the old cassette
        shutil.copyfile(tmp_path / name, FOLDER / name)


def replayed(cassette: Path) -> Iterator[kl.Kalshi]:
    """A client that reads a cassette and cannot reach anything."""
    settings = kl.Settings(environment="sim", base_url=ADDRESS, attempts=1)
    with recorder(record=False).use_cassette(str(cassette)), kl.Kalshi(settings) as client:
        yield client


def source(url: str) -> kl.Settings:
    """Settings for the simulated exchange at an address, or for the real one."""
    return kl.Settings(environment="sim", base_url=url) if url else kl.Settings()
