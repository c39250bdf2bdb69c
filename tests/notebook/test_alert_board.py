"""The alert board as a model: a form for each kind, what waits, what fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import alerts
from kalshi_lab.alerts import kinds
from kalshi_lab.errors import UsageError
from kalshi_lab.notebook.alert_form import AGAIN, BOTH, EITHER, KINDS
from kalshi_lab.portal import PORTAL
from tests.notebook.conftest import until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def board(lab: Any) -> Any:
    return lab.panels.alerts()


def fill(fields: Any, kind: str, about: str, number: str = "", *, time: str = "", other: str = "") -> None:
    fields.kind.value = kind
    fields.about.value, fields.number.value, fields.time.value, fields.other.value = about, number, time, other


def test_every_kind_of_condition_can_be_made_of_its_fields(board: Any, tickers: list[str]) -> None:
    abouts = {
        "series": "KXHIGHNY",
        "event": "KXHIGHNY-26NOV22",
        "thesis": "rain",
        "dataset": "trades",
        "topic": "KXHIGHNY",
    }
    assert set(KINDS) == {name for name in kinds.KINDS if name not in {"all", "any", "not"}}
    for name, kind in KINDS.items():
        others = {"held": ("0.7", "fed cuts"), "direction": ("", "up")}.get(kind.other, ("",))
        for other in others:
            about = abouts.get(kind.about, tickers[0])
            fill(
                board.form.first,
                name,
                about,
                "0.05" if kind.number else "",
                time="1h" if kind.time else "",
                other=other,
            )
            made = board.form.condition()
            assert made.kind == name
            assert other in made.text


def test_two_conditions_are_joined_by_and_or_or(board: Any, tickers: list[str]) -> None:
    form = board.form
    fill(form.first, "above", tickers[0], "0.6")
    fill(form.second, "below", tickers[1], "0.2")
    assert form.second.layout.display == "none"
    form.join.value = BOTH
    assert form.second.layout.display is None
    assert form.condition().text == (alerts.above(tickers[0], "0.6") & alerts.below(tickers[1], "0.2")).text
    form.join.value = EITHER
    assert form.condition().text == (alerts.above(tickers[0], "0.6") | alerts.below(tickers[1], "0.2")).text


def test_options_of_the_form_are_kept_with_the_alert(lab: Any, board: Any, tickers: list[str], tmp_path: Path) -> None:
    lab.alerts.send_to(kl.ToFile(tmp_path / "alarms.jsonl", name="file"), kl.ToNotebook(show=print))
    form = board.form
    fill(form.first, "below", tickers[0], "0.013")
    form.fires.value, form.cooldown.value, form.hysteresis.value = AGAIN, "15m", "0.02"
    form.expires.value, form.to.value = "7d", "file"
    PORTAL.call(board.add())
    kept = PORTAL.call(
        board.lab.store.read("SELECT repeat, cooldown, hysteresis, sinks FROM alerts WHERE condition LIKE '%0.013%'")
    )
    assert [(row[0], row[1], float(row[2]), row[3]) for row in kept.rows()] == [(True, 900, 0.02, ["file"])]
    assert "notebook" in form.to.placeholder
    assert board.waiting.rows["expires_at"][-1] is not None
    lab.alerts.send_to()


WRONG = {
    "cooldown": ("soon", "cooldown"),
    "hysteresis": ("2", "hysteresis 2 is not between"),
    "expires": ("2020-01-01", "is over already"),
    "to": ("pigeon", "sink"),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_option_is_told_and_nothing_is_kept(lab: Any, board: Any, tickers: list[str], field: str) -> None:
    before, (typed, said) = lab.alerts.list().height, WRONG[field]
    fill(board.form.first, "above", tickers[0], "0.987")
    board.form.fires.value = AGAIN
    getattr(board.form, field).value = typed
    with pytest.raises(UsageError, match=said):
        PORTAL.call(board.add())
    assert lab.alerts.list().height == before
    assert getattr(board.form, field).value == typed


def test_an_alert_typed_waits_fires_at_a_check_and_is_removed(lab: Any, board: Any, tickers: list[str]) -> None:
    fill(board.form.first, "above", tickers[0], "0.01")
    board.form.label.value = "<script>rain"
    PORTAL.call(board.add())
    assert board.form.first.about.value == ""
    kept = lab.alerts.list()["alert_id"].to_list()[-1:]
    assert board.waiting.rows["alert_id"].to_list()[-1:] == kept
    PORTAL.call(board.check())
    assert board.fired.rows["label"].to_list() == ["<script>rain"]
    shown = board._repr_mimebundle_()["text/html"]
    assert "&lt;script&gt;rain" in shown
    assert "<script>" not in shown
    board._pick(board.waiting.rows.row(-1, named=True))
    PORTAL.call(board.remove())
    assert lab.alerts.list().filter(alert_id=kept[0])["state"].to_list() in ([], ["removed"])
    assert board.fired.rows.height == 1


def test_a_wrong_number_is_told_and_what_was_typed_stays(board: Any, tickers: list[str]) -> None:
    fields = board.form.first
    fill(fields, "above", tickers[0], "sixty")
    board._add()
    until(lambda: "sixty" in board.trouble.value)
    assert (fields.about.value, fields.number.value) == (tickers[0], "sixty")
    fill(fields, "above", "", "0.5")
    with pytest.raises(UsageError, match="About"):
        board.form.condition()


def test_nothing_is_removed_where_nothing_is_chosen(board: Any) -> None:
    with pytest.raises(UsageError, match="no alert is chosen"):
        PORTAL.call(board.remove())


def test_the_watch_is_started_and_stopped_from_the_board(lab: Any, board: Any) -> None:
    PORTAL.call(board.watch())
    assert not lab._twin.alerts.watch.over
    assert board.waiting.foot != "not watched"
    PORTAL.call(board.rest())
    assert board.waiting.foot == "not watched"
