"""Recorded HTTP of each family: replayed without a server, recorded anew from the sim (--record) or the exchange (--live).

pytest tests/cassettes              replays
pytest tests/cassettes --record     records from the simulated exchange, over real HTTP
pytest tests/cassettes --live       also asks the real exchange what is public, and records what it answers; Exa where EXA_API_KEY is set
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import vcr  # type: ignore[import-untyped]  # it ships no types

import kalshi_lab as kl
from kalshi_lab import sim
from kalshi_lab.exa import Purse
from tests.cassettes.scrub import ADDRESS, EXA, Scrubber, leaks, made_up_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vcr.request import Request  # type: ignore[import-untyped]  # as above

FOLDER = Path(__file__).parents[2] / "cassettes"
EXA_KEY = "canary-4f7a21c09be8-exa-key"
MOST = Decimal("0.50")  # dollars that recording one cassette of the real Exa may cost


def pytest_collection_finish(session: pytest.Session) -> None:
    """--live needs the real exchange; without it there is one line, and no test runs."""
    asked = session.config.getoption("--live") and any(item.get_closest_marker("live") for item in session.items)
    if asked and (why := unreachable(kl.Settings(attempts=1))):
        pytest.exit(why, returncode=1)


def unreachable(settings: kl.Settings) -> str:
    """Why an exchange cannot be recorded, in one line; empty where it answers."""
    try:
        with kl.Kalshi(settings=settings) as client:
            client.exchange.status()
    except kl.LabError as error:
        return f"--live: the exchange at {settings.url} does not answer, nothing was recorded: {error.message}"
    return ""


def same_body(one: Request, other: Request) -> None:
    """Requests are alike when their bodies say the same."""
    assert _said(one) == _said(other)


def _said(request: Request) -> Any:
    return json.loads(request.body) if request.body else None


def recorder(*, record: bool, keys: tuple[str, ...] = ()) -> vcr.VCR:
    """The recorder: reads cassettes only, unless it records."""
    scrubber = Scrubber(*keys)
    made = vcr.VCR(
        serializer="json",
        record_mode="all" if record else "none",
        decode_compressed_response=True,
        before_record_request=scrubber.request,
        before_record_response=scrubber.response,
    )
    made.register_matcher("said", same_body)
    made.match_on = ("method", "path", "query", "said")
    return made


@contextmanager
def recording(request: pytest.FixtureRequest, folder: Path, *keys: str) -> Iterator[None]:
    """Everything within is recorded under the test's name; it replaces the old cassette when the test passed and nothing leaked."""
    name, failed = cassette(request).name, request.session.testsfailed
    with recorder(record=True, keys=keys).use_cassette(str(folder / name)):
        yield
    if request.session.testsfailed == failed:
        text = (folder / name).read_text(encoding="utf-8")
        found = leaks(text) + [key for key in keys if key in text]
        if found:  # not shown: it may be a key
            pytest.fail(f"{name} would hold {len(found)} things that say who asked; the old one stays", pytrace=False)
        shutil.copyfile(folder / name, FOLDER / name)


def cassette(request: pytest.FixtureRequest) -> Path:
    """The cassette of a test, which is named after it."""
    return FOLDER / (request.function.__name__.removeprefix("test_") + ".json")


@pytest.fixture(params=["recorded", pytest.param("live", marks=pytest.mark.live)])
def kalshi(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[kl.Kalshi]:
    """A client whose answers come from the cassette that is named after the test."""
    live, record = request.param == "live", request.config.getoption("--record")
    with ExitStack() as open_things:
        if live or record:
            url = "" if live else request.getfixturevalue("exchange").url
            open_things.enter_context(recording(request, tmp_path))
            yield open_things.enter_context(kl.Kalshi(settings=source(url)))
        else:
            open_things.enter_context(recorder(record=False).use_cassette(str(cassette(request))))
            yield open_things.enter_context(kl.Kalshi(settings=source(ADDRESS, attempts=1)))


def source(url: str, **options: Any) -> kl.Settings:
    """Settings for the simulated exchange at an address, or for the real one."""
    return kl.Settings(environment="sim", base_url=url, **options) if url else kl.Settings()


@dataclass(frozen=True)
class Members:
    """Two members of one exchange: `mine` is asked, `theirs` is the other side. `later` lets so many seconds pass there."""

    mine: kl.Kalshi
    theirs: kl.Kalshi
    key: kl.Credentials
    later: Callable[[float], Any]


@pytest.fixture(params=["recorded", pytest.param("live", marks=pytest.mark.live)])
def members(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Members]:
    """Two signing clients of an exchange of their own, or of its cassette; generated keys do for both, since a cassette checks none."""
    if request.param == "live":
        pytest.skip("needs an account, and trades on it: recorded from the simulated exchange only")
    with ExitStack() as open_things:
        if request.config.getoption("--record"):
            exchange = open_things.enter_context(sim.start(markets=300, history_days=40, clock="frozen"))
            keys, later = (_joined(exchange), _joined(exchange)), exchange.advance
            open_things.enter_context(recording(request, tmp_path, *(key.key_id for key in keys)))
            settings = source(exchange.url)
        else:
            keys, later = (_stranger(1), _stranger(2)), float
            open_things.enter_context(recorder(record=False).use_cassette(str(cassette(request))))
            settings = source(ADDRESS, attempts=1)
        clients = [kl.Kalshi(settings=settings, credentials=key, writable=True) for key in keys]
        for client in clients:
            open_things.enter_context(client)
        yield Members(*clients, keys[0], later)


@dataclass(frozen=True)
class Searcher:
    """A client of Exa, blocking and awaited, over one cassette. `later` lets so many seconds pass there; `live`: it is Exa itself."""

    exa: kl.Exa
    awaited: kl.AsyncExa
    later: Callable[[float], Any]
    live: bool


@pytest.fixture(params=["recorded", pytest.param("live", marks=pytest.mark.live)])
def searcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Searcher]:
    """Exa's clients, whose answers come from the cassette that is named after the test."""
    live, record = request.param == "live", request.config.getoption("--record")
    with ExitStack() as open_things:
        key, later = EXA_KEY, float
        options: dict[str, Any] = {"settings": source(ADDRESS, attempts=1), "url": EXA}
        if live:
            key, options = os.environ.get("EXA_API_KEY", ""), {"meter": Purse(MOST)}
            if not key:
                pytest.skip("EXA_API_KEY is not set: recording from Exa costs money")
        elif record:
            made = open_things.enter_context(sim.start(markets=300, history_days=40, clock="frozen"))
            later, options = made.advance, {"settings": source(made.url), "url": made.exa_url}
        if live or record:
            open_things.enter_context(recording(request, tmp_path, key))
        else:
            open_things.enter_context(recorder(record=False).use_cassette(str(cassette(request))))
        made_exa = open_things.enter_context(kl.Exa(key, **options))
        yield Searcher(made_exa, made_exa._twin, later, live)


def _joined(exchange: sim.Exchange) -> kl.Credentials:
    made = kl.Credentials.generate()
    return made.with_key_id(exchange.account(made.public_pem, tier="prime", direct=True))


def _stranger(number: int) -> kl.Credentials:
    return kl.Credentials.generate(key_id=made_up_id(number))
