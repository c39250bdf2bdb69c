"""The status panel as a model: what goes on, what is held, and what failed with its request."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from kalshi_lab.errors import NotFound
from kalshi_lab.portal import PORTAL


def test_a_failed_request_is_listed_with_its_id(lab: Any) -> None:
    with pytest.raises(NotFound) as failed:
        lab.market("KXNOSUCH-1")
    status = lab.panels.status()
    assert failed.value.request_id in status.errors.rows["request_id"].to_list()
    assert failed.value.request_id in status._repr_mimebundle_()["text/html"]
    assert "failed" in status.errors.foot


def test_what_is_not_running_is_said_in_words_and_what_is_asked_is_counted(lab: Any) -> None:
    status = lab.panels.status()
    assert "not watched" in status.facts.value
    assert "none in this session" in status.facts.value
    before = status.asked.rows["attempts"].sum()
    lab.markets(limit=5)
    PORTAL.call(status.load())
    assert status.asked.rows["attempts"].sum() > before
    assert "GB free" in status.store.foot


def test_a_collector_is_shown_while_it_runs(lab: Any) -> None:
    status = lab.panels.status()
    collector = lab.collect(every="1h")
    try:
        PORTAL.call(status.load())
        assert status.background()["collector"] != "none in this session"
    finally:
        collector.stop()


def test_the_budget_of_each_host_is_shown_with_what_is_left_and_how_long_requests_waited(lab: Any) -> None:
    lab.markets(limit=5)
    status = lab.panels.status()
    hosts = lab.stats("host")
    assert status.limits.rows["rate"].to_list() == hosts["rate"].to_list()
    assert status.limits.rows["tokens"].le(pl.Series(hosts["rate"]) * 10).all()
    assert f"{lab.stats('attempt')['queued'].max():,.3f} s" in status.limits.foot
    assert "Rate limits" in status._repr_mimebundle_()["text/html"]


def test_answers_that_asked_for_patience_are_counted(lab: Any) -> None:
    lab.simulated.faults("/markets", kind="status", status=429, times=1)
    try:
        lab.markets(limit=3)
    finally:
        lab.simulated.faults()
    assert "; 1 answers said: too many requests" in lab.panels.status().limits.foot
