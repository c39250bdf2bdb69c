"""S1 to S20: each goal is met, and each guard is what meets it: without it, the same check fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.charts.house import literal
from kalshi_lab.models import Market
from tests.security import guards_of_contents, guards_of_keys, guards_of_requests, guards_of_webhooks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.security.guards import Guard

GUARDS = [*guards_of_keys.GUARDS, *guards_of_requests.GUARDS, *guards_of_contents.GUARDS, *guards_of_webhooks.GUARDS]


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_the_goal_is_met(guard: Guard, tmp_path: Path) -> None:
    """With the guard in its place the check passes."""
    guard.check(tmp_path)


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_without_its_guard_it_is_not(guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the guard patched out the check fails: it is no formality, and the guard is no ornament."""
    guard.remove(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        guard.check(tmp_path)


def test_ten_megabytes_of_title_take_no_time_and_no_room() -> None:
    """S20: whatever the exchange sends as a title, a page, a repr and a picture of it are small, at once."""
    title = "<b>" * 3_500_000
    market = Market.model_construct(ticker=title, title=title, rules_primary=title)
    assert len(market._repr_html_()) < 500_000
    assert len(repr(market)) < 1_000
    assert len(kl.explain(kl.BadRequest(title))._repr_html_()) < 200_000
    assert len(literal(title, 140)) <= 140
