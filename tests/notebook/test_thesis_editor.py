"""The thesis editor as a model: what is typed, kept, refused and never lost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.portal import PORTAL

_NUMBERS = itertools.count(1)


def filled(lab: Any, ticker: str, **words: str) -> Any:
    editor = lab.panels.thesis()
    texts = {
        "name": f"rain {next(_NUMBERS)}",
        "markets": f"{ticker} 0.62",
        "because": "the models agree <script>",
        **words,
    }
    for name, text in texts.items():
        getattr(editor, name).value = text
    return editor


def kept(lab: Any, ticker: str, **words: str) -> Any:
    editor = filled(lab, ticker, **words)
    PORTAL.call(editor.save())
    return editor


def test_a_thesis_typed_is_kept_and_opens_again_with_its_edge(lab: Any, tickers: list[str]) -> None:
    editor = kept(lab, tickers[0], claim="it rains", confidence="0.7", invalidation="after 2026-12-01")
    name = editor.name.value
    assert str(lab.thesis(name).markets[0].probability) == "0.620000"
    again = lab.panels.thesis(name)
    assert (again.claim.value, again.markets.value, again.confidence.value) == ("it rains", f"{tickers[0]} 0.62", "0.7")
    assert again.worth.rows["edge_now"].item() is not None
    assert again.past.rows["version"].to_list() == [1]
    assert again.touched() == {}


def test_what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost(lab: Any, tickers: list[str]) -> None:
    editor = filled(lab, tickers[0], markets=f"{tickers[0]} 62", confidence="much", because="")
    before = editor._typed()
    PORTAL.call(editor.save())
    wrong = {label for label, beside in editor._beside.items() if beside.value}
    assert wrong == {"Markets", "Confidence", "Because"}
    assert "Did you mean 0.62?" in editor._beside["Markets"].value
    assert editor._typed() == before
    assert editor.name.value not in lab.theses()["name"].to_list()


def test_what_the_exchange_refuses_is_said_beside_the_markets(lab: Any) -> None:
    editor = filled(lab, "KXNOSUCH-1")
    with pytest.raises(UsageError):
        PORTAL.call(editor.save())
    assert "KXNOSUCH-1" in editor._beside["Markets"].value
    assert editor.because.value == "the models agree <script>"


def test_a_word_changed_is_the_next_version_and_the_quote_then_stays(lab: Any, tickers: list[str]) -> None:
    editor = kept(lab, tickers[0])
    first = editor.thesis.markets[0].quoted_at
    editor.bull.value, editor.note.value = "cold front", "seen on the map"
    PORTAL.call(editor.save())
    assert (editor.thesis.version, editor.thesis.bull, editor.note.value) == (2, "cold front", "")
    assert editor.thesis.markets[0].quoted_at == first
    assert editor.past.rows["note"].to_list()[-1] == "seen on the map"
    PORTAL.call(editor.save())
    assert editor.thesis.version == 2


def test_two_editors_of_one_thesis_do_not_overwrite_each_other(lab: Any, tickers: list[str]) -> None:
    mine = kept(lab, tickers[0], claim="it rains")
    theirs = lab.panels.thesis(mine.name.value)
    theirs.claim.value = "it pours"
    PORTAL.call(theirs.save())
    mine.bear.value, mine.note.value = "a dry week", "mine"
    PORTAL.call(mine.watch())
    assert "version 2 was kept elsewhere" in mine.word.value
    with pytest.raises(UsageError, match="changed meanwhile"):
        PORTAL.call(mine.save())
    assert lab.thesis(mine.name.value).version == 2
    PORTAL.call(mine.renew())
    assert (mine.claim.value, mine.bear.value, mine.touched().keys()) == ("it pours", "a dry week", {"bear", "note"})
    PORTAL.call(mine.save())
    now = lab.thesis(mine.name.value)
    assert (now.version, now.claim, now.bear) == (3, "it pours", "a dry week")


def test_a_new_thesis_does_not_take_the_name_of_another(lab: Any, tickers: list[str]) -> None:
    editor = filled(lab, tickers[0], name=kept(lab, tickers[0]).name.value)
    with pytest.raises(UsageError, match="already"):
        PORTAL.call(editor.save())
    assert lab.thesis(editor.name.value).version == 1


def test_evidence_is_kept_with_its_link_and_a_wrong_one_keeps_what_was_typed(lab: Any, tickers: list[str]) -> None:
    editor = kept(lab, tickers[0])
    editor.url.value, editor.passage.value, editor.stance.value = "nowhere", "it will <b>rain</b>", "yes"
    with pytest.raises(UsageError):
        PORTAL.call(editor.add())
    assert editor.passage.value == "it will <b>rain</b>"
    assert "no address" in editor._beside["Link"].value
    editor.url.value, editor.relevance.value = "https://weather.example/today", "0.8"
    editor.because.value = "half typed"
    PORTAL.call(editor.add())
    found = lab.thesis(editor.name.value).evidence[0]
    assert (found.url, found.stance, float(found.relevance)) == ("https://weather.example/today", "yes", 0.8)
    assert editor.url.value == ""
    assert editor.because.value == "half typed"


def test_a_saved_notebook_shows_the_fields_with_every_text_escaped(lab: Any, tickers: list[str]) -> None:
    shown = kept(lab, tickers[0])._repr_mimebundle_()["text/html"]
    assert "the models agree &lt;script&gt;" in shown
    assert "<script>" not in shown
    assert tickers[0] in shown


def test_a_name_that_is_not_kept_is_refused_with_the_nearest(lab: Any, tickers: list[str]) -> None:
    name = kept(lab, tickers[0]).name.value
    with pytest.raises(UsageError, match=name):
        lab.panels.thesis(name.replace("rain", "rian"))
