"""`Lab` and `AsyncLab` are one thing with two faces."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import AsyncKalshi, AsyncLab, Kalshi, Lab
from kalshi_lab.alerts import Alerts, AsyncAlerts
from kalshi_lab.kalshi.events import AsyncEvents, Events
from kalshi_lab.kalshi.exchange import AsyncExchange
from kalshi_lab.kalshi.exchange import Exchange as ExchangeFace
from kalshi_lab.kalshi.historical import AsyncHistorical, Historical
from kalshi_lab.kalshi.markets import AsyncMarkets, Markets
from kalshi_lab.kalshi.series import AsyncSeriesFamily, SeriesFamily

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalshi_lab.sim import Exchange

PAIRS: list[tuple[type[Any], type[Any]]] = [
    (AsyncLab, Lab),
    (AsyncKalshi, Kalshi),
    (AsyncAlerts, Alerts),
    (AsyncExchange, ExchangeFace),
    (AsyncMarkets, Markets),
    (AsyncEvents, Events),
    (AsyncSeriesFamily, SeriesFamily),
    (AsyncHistorical, Historical),
]

FOR_INGEST = {"candle_call"}  # which awaits


def verbs(face: type[Any]) -> dict[str, Callable[..., Any]]:
    """The public methods of an awaited class."""
    return {
        name: method
        for name, method in inspect.getmembers(face, inspect.isfunction)
        if name[0] != "_" and name not in FOR_INGEST
    }


@pytest.mark.parametrize(("awaited", "blocking"), PAIRS, ids=lambda face: face.__name__)
def test_every_verb_has_its_twin(awaited: type[Any], blocking: type[Any]) -> None:
    """Every public method of the awaited class is on the blocking one, documented, and the blocking one has no other words."""
    made = object.__new__(blocking)
    made._twin = None
    for name in verbs(awaited):
        assert inspect.getdoc(getattr(made, name)), f"{blocking.__name__}.{name} has no docstring"
    assert {name for name in dir(blocking) if not name.startswith("_")} == set(verbs(awaited))


@pytest.mark.parametrize(("awaited", "blocking"), PAIRS, ids=lambda face: face.__name__)
def test_both_faces_take_the_same(awaited: type[Any], blocking: type[Any]) -> None:
    """Names, order, kinds, defaults and annotations of the parameters are equal."""
    made = object.__new__(blocking)
    made._twin = None
    for name, method in verbs(awaited).items():
        wanted = list(inspect.signature(method).parameters.values())[1:]
        assert list(inspect.signature(getattr(made, name)).parameters.values()) == wanted, name


def plain(value: Any) -> Any:
    return value.rows() if isinstance(value, pl.DataFrame) else value


LOOKS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("status", (), {}),
    ("markets", (), {"limit": 5}),
    ("markets", (), {"series": "KXHIGHNY", "exact": True}),
    ("events", (), {"series": "KXHIGHNY"}),
    ("series", (), {}),
    ("one_series", ("KXHIGHNY",), {}),
    ("trades", (), {"since": "1h"}),
    ("quotes", (), {}),
    ("theses", (), {}),
    ("sql", ("SELECT ? AS a", ["x"]), {}),
    ("table", ("markets",), {}),
    ("forecasts", (), {}),
]


def test_both_faces_give_the_same(exchange: Exchange, tmp_path: Path) -> None:
    """The blocking and the awaited call answer alike, for every look and question."""
    options: dict[str, Any] = {"base_url": exchange.url}

    async def awaited() -> list[Any]:
        async with AsyncLab("sim", home=tmp_path / "a", **options) as lab:
            return [plain(await getattr(lab, name)(*args, **given)) for name, args, given in LOOKS]

    with Lab("sim", home=tmp_path / "b", **options) as lab:
        found = [plain(getattr(lab, name)(*args, **given)) for name, args, given in LOOKS]
    assert found == asyncio.run(awaited())


def test_a_blocking_call_works_inside_a_running_loop(lab: Lab) -> None:
    """A blocking call inside a coroutine gives its answer, as a notebook's cells need it."""

    async def cell() -> str:
        return repr(lab.status())

    assert asyncio.run(cell()) == "<ExchangeStatus up, trading on>"
