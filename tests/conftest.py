"""What all tests share: no network but this machine's own, a frozen exchange, the recordings, and the options for the real exchange."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from kalshi_lab.sim import Exchange, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "", None}  # noqa: S104 - names to compare with, nothing is bound

# the same examples on every run and every machine
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("steady")


class NetworkUsedError(AssertionError):
    """A test tried to leave this machine."""


LONGER = ("kill", "bench", "long", "truth", "browser", "team")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kalshi_lab")
    group.addoption(
        "--live", action="store_true", help="run the contract tests against the real exchange, and re-record"
    )
    group.addoption("--record", action="store_true", help="record the cassettes anew from the simulated exchange")


def pytest_configure(config: pytest.Config) -> None:
    """--live takes in what is left out otherwise."""
    if config.getoption("--live"):
        config.option.markexpr = config.option.markexpr.replace(" or live", "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Recordings are used where they are; what only the real exchange can show runs with --live; longer tests have longer."""
    absent = pytest.mark.skip(reason="KALSHI_LAB_RECORDINGS names no recordings")
    offline = pytest.mark.skip(reason="talks to the real exchange; run with --live")
    for item in items:
        if item.get_closest_marker("recordings") and not os.environ.get("KALSHI_LAB_RECORDINGS"):
            item.add_marker(absent)
        if item.get_closest_marker("live") and not config.getoption("--live"):
            item.add_marker(offline)
        if any(item.get_closest_marker(one) for one in LONGER) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))  # a machine with other work takes several times as long


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded answers."""
    folder = os.environ.get("KALSHI_LAB_RECORDINGS")
    if not folder:
        pytest.skip("KALSHI_LAB_RECORDINGS names no recordings")
    return Path(folder)


@pytest.fixture(scope="session")
def exchange() -> Iterator[Exchange]:
    """A frozen simulated exchange that no test changes."""
    with process.start(markets=300, clock="frozen") as running:
        yield running


@pytest.fixture(autouse=True)
def _this_machine_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach this machine and nothing else."""
    if request.config.getoption("--live"):
        return

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any, *rest: Any) -> Any:
            if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in HERE:
                raise NetworkUsedError(f"a test tried to reach {address[0]}")
            return real(self, address, *rest)

        return connect

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in HERE:
            raise NetworkUsedError(f"a test tried to look up {name}")
        return found(host, *rest, **options)

    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own environment changes no test."""
    for name in ("HOME", "TIER", "BASE_URL", "ALLOW_UNSAFE_HOST"):
        monkeypatch.delenv(f"KALSHI_LAB_{name}", raising=False)
    monkeypatch.delenv("KALSHI_ENVIRONMENT", raising=False)
