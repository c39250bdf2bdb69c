"""Exa's key is in no error, traceback, log, repr, store or answer that is kept."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.exa import Exa

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim.process import Exchange

CANARY = "canary-0123456789abcdef-exa-key"


def told(error: BaseException) -> str:
    """An error with its traceback and everything that its frames held, but the tests' own."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True, compact=True)
    kept = [frame for frame in lines.stack if "/tests/" not in frame.filename]
    return f"{error!r} {error} {vars(error)} " + " ".join(f"{frame.line} {frame.locals}" for frame in kept)


@pytest.mark.parametrize("kind", ["status", "html", "garbled", "cut", "drop"])
def test_no_failure_shows_the_key(
    exchange: Exchange, options: dict[str, Any], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """S1, S15: every way of failing, with all variables of its traceback, and logs at DEBUG."""
    caplog.set_level(logging.DEBUG)
    exchange.faults("/exa/*", kind=kind, times=50)
    with Exa(CANARY, **options) as exa:
        for call in (
            lambda: exa.search("x"),
            lambda: exa.answer("x"),
            lambda: list(exa.stream_answer("x")),
            lambda: exa.runs.create("x"),
        ):
            with pytest.raises(LabError) as failed:
                call()
            assert CANARY not in told(failed.value)
        assert CANARY not in repr(exa) + repr(exa._twin.door.state) + repr(exa._twin.observer.rows())
    assert CANARY not in caplog.text
    assert all(CANARY not in str(one) for one in exchange.requests())


def test_the_key_is_neither_pickled_nor_kept(exchange: Exchange, tmp_path: Path) -> None:
    """S1, S15, S16: not in the store's files, its exports and its archives, whatever was paid for with it."""
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path, exa_key=CANARY) as lab:
        lab.topic("H.R. 1001 passes the House")
        assert CANARY not in repr(lab) + lab._repr_html_()
        with pytest.raises((UsageError, TypeError)):
            pickle.dumps(lab.exa._twin.door)
        assert CANARY not in str(lab.spend().rows()) + repr(lab.stats("host"))
        for number, dataset in enumerate(("quotes", "results")):
            lab.export(tmp_path / f"{number}.csv", dataset)
        lab.archive(tmp_path / "archive")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"0.csv", "1.csv"} <= {path.name for path in files}
    assert all(CANARY.encode() not in path.read_bytes() for path in files)
