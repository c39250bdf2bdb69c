"""S7, S11: whatever text the exchange sends is text: in every repr, in every table, in every question to the store."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter

import kalshi_lab as kl
from kalshi_lab import markup, models
from kalshi_lab.ingest import SyncResult
from kalshi_lab.kalshi.checks import KeyCheck
from kalshi_lab.models.fields import Record, columns
from kalshi_lab.notebook import report
from kalshi_lab.research.thesis.record import Thesis, ThesisMarket
from tests.demo.test_runs import notebook
from tests.security.guards_of_contents import HOSTILE, Tags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def records() -> list[type[Record]]:
    """Every kind of thing that the exchange sends."""
    assert models.__name__  # loads them
    found: list[type[Record]] = []
    wanted = [Record]
    while wanted:
        below = wanted.pop().__subclasses__()
        found += below
        wanted += below
    return sorted((one for one in found if one.__module__.startswith("kalshi_lab.")), key=lambda one: one.__name__)


def filled(record: type[Record], text: str) -> Record:
    """One of them with the text in every field that takes text, and one that this version does not know."""
    words: dict[str, Any] = {column.name: text for column in columns(record) if column.kind in {"text", "key"}}
    rest = {name: field.get_default(call_default_factory=True) for name, field in record.model_fields.items()}
    return record.model_construct(**(rest | words | {"new_field": text}))


def others(text: str) -> Iterator[object]:
    """Everything else that shows text from outside."""
    market = ThesisMarket(text, text, Decimal("0.5"), NOW, Decimal("0.4"), Decimal("0.5"), None, status=text)
    yield Thesis(text, 1, "active", text, NOW, NOW, (market,), gaps=(text,))
    yield KeyCheck(ok=False, why=text, environment=text, tier=text, scopes=(text,))
    values: dict[str, Any] = {one.name: 1 for one in dataclasses.fields(SyncResult)}
    yield SyncResult(**(values | {"dataset": text, "run_id": text}))
    yield kl.explain(kl.BadRequest(text, hint=text, request_id=text, method=text, path=text))
    book = kl.OrderBook(text)
    book.mark_stale(text)
    yield book


RECORDS = [one for one in records() if one.model_fields]


def same(shown: Any, plain: Any, text: str) -> None:
    """The page has the same elements with the same attributes as for a plain word, and no character that is obeyed."""
    page, ordinary = shown._repr_html_(), plain._repr_html_()
    assert Tags(page).found == Tags(ordinary).found, (type(shown).__name__, text)
    assert not {"\u202e", "\u2066", "\x00", "\x1b"} & set(page)
    assert "$" not in page.replace("&#36;", "")


@pytest.mark.parametrize("record", RECORDS, ids=lambda one: one.__name__)
def test_no_record_becomes_markup(record: type[Record]) -> None:
    """S11: each of the exchange's records, with the corpus in each of its texts, as HTML and as one printable line."""
    for text in HOSTILE:
        same(filled(record, text), filled(record, "x"), text)
        assert repr(filled(record, text)).isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_else_becomes_markup(text: str) -> None:
    """S11: theses, books, results, checks and explanations."""
    for shown, plain in zip(others(text), others("x"), strict=True):
        same(shown, plain, text)


def test_jupyter_is_given_text_and_html_alone() -> None:
    """S11: no Markdown, LaTeX, SVG or script comes out of any of them."""
    kinds: set[str] = set()
    for shown in (*(filled(record, "x") for record in RECORDS), *others("x")):
        kinds |= set(DisplayFormatter().format(shown)[0])
    assert kinds == {"text/plain", "text/html"}


@pytest.mark.parametrize("text", HOSTILE)
def test_pages_and_frames_escape_too(text: str, tmp_path: Path) -> None:
    """S11: tables, cards, links, whole pages and Polars' own frames."""
    plain, made = (
        [
            markup.table((word,), [(word, None)]),
            markup.card(word, {word: word}),
            markup.page(word, markup.warning(word)),
        ]
        for word in ("x", text)
    )
    for one, other in zip(made, plain, strict=True):
        assert Tags(one).found == Tags(other).found
    frame = pl.DataFrame({"title": [text]})
    assert Tags(frame._repr_html_()).found == Tags(pl.DataFrame({"title": ["x"]})._repr_html_()).found
    pages = []
    for word in ("x", text):
        notebook(tmp_path / "run.ipynb", f"# {word!r}")
        report.write(tmp_path / "page.html", word, {word: word}, [tmp_path / "run.ipynb"])
        pages.append(Tags((tmp_path / "page.html").read_text("utf-8")).found)
    assert pages[0] == pages[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    home = tmp_path_factory.mktemp("home")
    with kl.Lab("sim", base_url="http://127.0.0.1:9/trade-api/v2", home=home) as made:
        yield made


@settings(max_examples=15)
@given(st.sampled_from(HOSTILE) | st.text(max_size=60))
def test_no_text_is_read_as_sql(lab: kl.Lab, text: str) -> None:
    """S7: as a parameter, a ticker, a name of a table or words to look for, it ends in rows or in an error of the tree."""
    printable = text.encode("utf-8", "replace").decode().replace("\x00", "")
    assert lab.sql("SELECT $1 AS said", [printable]).item() == printable
    for ask in (lab.table, lab.search, lambda word: lab.quotes(tickers=word)):
        try:
            ask(text)
        except kl.LabError:
            continue
    assert lab.sql("SELECT count(*) FROM markets").item() == 0
