"""What a cassette may hold: answers of public endpoints under one fixed address, and nothing of who asked."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cassettes.conftest import ADDRESS, FOLDER, KEPT_HEADERS, scrubbed_request

FAMILIES = ["candlesticks", "events", "exchange", "historical", "markets", "orderbooks", "series", "trades"]
SECRET = re.compile(
    r"KALSHI-ACCESS|PRIVATE KEY|authorization|set-cookie|x-api-key|x-request-id|user-agent|bearer |AKIA[0-9A-Z]{16}"
    r"|eyJ[\w-]{10,}\.eyJ|[\w.+-]+@[\w-]+\.\w{2,}|/(?:home|root|Users)/",
    re.IGNORECASE,
)


def interactions(family: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{family}.json").read_text(encoding="utf-8"))["interactions"]
    return found


def test_there_is_one_for_each_family() -> None:
    """Eight cassettes, small together."""
    files = sorted(FOLDER.iterdir())
    assert [file.name for file in files] == [f"{family}.json" for family in FAMILIES]
    assert sum(file.stat().st_size for file in files) < 400_000


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_secret_is_in_it(family: str) -> None:
    """No key, cookie, agent, address of a person or path of a machine; few headers; one address."""
    text = (FOLDER / f"{family}.json").read_text(encoding="utf-8")
    assert SECRET.findall(text) == []
    assert interactions(family)
    for one in interactions(family):
        assert one["request"]["uri"].startswith(f"{ADDRESS}/")
        assert (one["request"]["method"], one["request"]["body"]) in {("GET", ""), ("GET", None)}
        assert {name.lower() for name in one["request"]["headers"]} <= KEPT_HEADERS["request"]
        assert {name.lower() for name in one["response"]["headers"]} <= KEPT_HEADERS["response"]


def test_the_scrubbing_bites() -> None:
    """A request with a signature loses it, and its host, before it is written."""
    from vcr.request import Request  # type: ignore[import-untyped]  # it ships no types

    signed = {
        "KALSHI-ACCESS-KEY": "k",
        "KALSHI-ACCESS-SIGNATURE": "s",
        "Accept": "application/json",
        "X-Request-Id": "1",
    }
    written = scrubbed_request(
        Request("GET", "https://external-api.kalshi.com/trade-api/v2/markets?limit=1", "", signed)
    )
    assert written.uri == f"{ADDRESS}/markets?limit=1"
    assert dict(written.headers) == {"Accept": "application/json"}
    assert SECRET.search("KALSHI-ACCESS-KEY: abc")
    assert SECRET.search("somebody@example.com")
