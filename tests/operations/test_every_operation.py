"""Every operation, called once on each client against an exchange that answers with every field of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.kalshi.operations import table
from tests.operations.calls import CALLS, READS, WRITES, Known
from tests.operations.contract import BY_NAME, faults
from tests.operations.leftover import awaited, everything, leftovers
from tests.operations.server import ContractServer

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWN = Known()


@pytest.fixture(scope="module")
def server() -> Iterator[ContractServer]:
    with ContractServer() as running:
        yield running


@pytest.fixture(scope="module")
def settings(server: ContractServer) -> kl.Settings:
    return kl.Settings(environment="sim", base_url=server.url)


@pytest.fixture(scope="module")
def blocking_client(settings: kl.Settings) -> Iterator[kl.Kalshi]:
    with kl.Kalshi(settings=settings, writable=True, credentials=kl.Credentials.generate()) as client:
        yield client


def test_all_are_called() -> None:
    """The calls below are those of the table, all 128."""
    assert CALLS.keys() == table().keys()


@pytest.mark.parametrize("face", ["blocking", "awaited"])
@pytest.mark.parametrize("name", CALLS)
def test_an_operation(
    name: str, face: str, server: ContractServer, settings: kl.Settings, blocking_client: kl.Kalshi
) -> None:
    """Its request is the contract's (method, path, query, body), and of its answer no field is left over."""
    server.asked.clear()
    made = everything(CALLS[name](blocking_client, KNOWN)) if face == "blocking" else _awaited(name, settings)
    asked = server.asked[0]
    assert asked.operation == name
    if name in BY_NAME:
        assert faults(name, asked.query, asked.body) == []
    assert [fault for value in made for fault in leftovers(value)] == []


def _awaited(name: str, settings: kl.Settings) -> list[object]:
    def client() -> kl.AsyncKalshi:
        return kl.AsyncKalshi(settings=settings, writable=True, credentials=kl.Credentials.generate())

    return awaited(client, lambda made: CALLS[name](made, KNOWN))


@pytest.mark.parametrize("name", WRITES)
def test_writes_are_refused_on_a_reading_client(name: str, server: ContractServer, settings: kl.Settings) -> None:
    """A client that was not opened for writing sends no write."""
    server.asked.clear()
    with kl.Kalshi(settings=settings, credentials=kl.Credentials.generate()) as reader, pytest.raises(kl.TradingOff):
        CALLS[name](reader, KNOWN)
    assert server.asked == []


@pytest.mark.parametrize("name", READS)
def test_private_reads_need_a_key(name: str, server: ContractServer, settings: kl.Settings) -> None:
    """Without a key nothing is sent, and the error says so."""
    server.asked.clear()
    with kl.Kalshi(settings=settings) as client, pytest.raises(kl.LabError, match="key"):
        everything(CALLS[name](client, KNOWN))
    assert server.asked == []
