"""The alert board as a model: a form for each kind, what waits, what fired."""

from __future__ import annotations

from typing import Any

import pytest

from kalshi_lab import alerts
from kalshi_lab.errors import UsageError
from kalshi_lab.notebook.alert_board import FORMS
from kalshi_lab.portal import PORTAL


@pytest.fixture
def board(lab: Any) -> Any:
    return lab.panels.alerts()


def fill(board: Any, kind: str, about: str, number: str = "", time: str = "") -> None:
    board.kind.value = kind
    board.about.value, board.number.value, board.time.value = about, number, time


def test_every_kind_that_the_board_offers_can_be_made_of_its_fields(board: Any, tickers: list[str]) -> None:
    abouts = {"series": "KXHIGHNY", "event": "KXHIGHNY-26NOV22", "thesis": "rain", "dataset": "trades"}
    for kind, (about, number, time) in FORMS.items():
        fill(board, kind, abouts.get(about, tickers[0]), "0.05" if number else "", "1h" if time else "")
        made = board.condition()
        assert made.kind, kind
        assert hasattr(alerts, kind)


def test_an_alert_typed_waits_fires_at_a_check_and_is_removed(lab: Any, board: Any, tickers: list[str]) -> None:
    fill(board, "above", tickers[0], "0.01")
    board.name.value = "<script>rain"
    PORTAL.call(board.add(board.condition()))
    assert board.about.value == ""
    kept = lab.alerts.list()["alert_id"].to_list()
    assert board.waiting.rows["alert_id"].to_list() == kept
    PORTAL.call(board.check())
    assert board.fired.rows["label"].to_list() == ["<script>rain"]
    shown = board._repr_mimebundle_()["text/html"]
    assert "&lt;script&gt;rain" in shown
    assert "<script>" not in shown
    board._pick(board.waiting.rows.row(0, named=True))
    PORTAL.call(board.remove())
    assert lab.alerts.list().filter(alert_id=kept[0])["state"].to_list() in ([], ["removed"])
    assert board.fired.rows.height == 1


def test_a_wrong_number_is_told_and_what_was_typed_stays(board: Any, tickers: list[str]) -> None:
    fill(board, "above", tickers[0], "sixty")
    board._add()
    assert board.trouble.value
    assert (board.about.value, board.number.value) == (tickers[0], "sixty")
    fill(board, "above", "", "0.5")
    with pytest.raises(UsageError, match="About"):
        board.condition()


def test_nothing_is_removed_where_nothing_is_chosen(board: Any) -> None:
    with pytest.raises(UsageError, match="no alert is chosen"):
        PORTAL.call(board.remove())


def test_the_watch_is_started_and_stopped_from_the_board(lab: Any, board: Any) -> None:
    PORTAL.call(board.watch())
    assert not lab._twin.alerts.watch.over
    assert board.waiting.foot != "not watched"
    PORTAL.call(board.rest())
    assert board.waiting.foot == "not watched"
