"""The table as a model: which rows are sent, in which order, and what the browser may ask."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import polars as pl

from kalshi_lab.notebook.table import WINDOW, Column, Table

MANY = pl.DataFrame(
    {"name": [f"row {n}" for n in range(10_000)], "size": [float(n * 7919 % 10_000) for n in range(10_000)]}
)


def asks(table: Table, **message: object) -> None:
    table._heard(table, message, [])


def names(table: Table) -> list[str]:
    return [cells[0] for cells in table.window["rows"]]


def test_of_ten_thousand_rows_a_window_is_sent() -> None:
    table = Table(MANY, label="many")
    assert (table.total, len(table.window["rows"])) == (10_000, WINDOW)
    asks(table, do="window", first=9_950)
    assert (table.window["first"], names(table)[-1]) == (9_950, "row 9999")


def test_ten_thousand_rows_are_sorted_and_shown_without_a_stall() -> None:
    table = Table(MANY)
    began = time.monotonic()
    for _ in range(4):
        asks(table, do="sort", column="size")
    assert time.monotonic() - began < 5
    assert table.sort == ["size", False]


def test_a_header_sorts_and_sorts_back_with_what_is_unknown_last() -> None:
    frame = pl.DataFrame({"name": ["a", "b", "c"], "size": [1.0, None, 3.0]})
    table = Table(frame)
    asks(table, do="sort", column="size")
    assert names(table) == ["c", "a", "b"]
    asks(table, do="sort", column="size")
    assert names(table) == ["a", "c", "b"]


def test_a_row_is_picked_as_it_is_shown_and_an_old_page_picks_nothing() -> None:
    picked: list[dict[str, object]] = []
    table = Table(pl.DataFrame({"name": ["a", "b"]}), sort="-name", on_pick=picked.append)
    asks(table, do="pick", row=0, version=table.version)
    asks(table, do="pick", row=0, version=table.version - 1)
    asks(table, do="pick", row=2, version=table.version)
    assert picked == [{"name": "b"}]


def test_a_wrong_question_changes_nothing() -> None:
    table = Table(pl.DataFrame({"name": ["a"]}), columns=(Column("name", "name", sortable=False),))
    before = (table.window, table.sort)
    for message in (
        {},
        {"do": "window", "first": -1},
        {"do": "sort", "column": "nowhere"},
        {"do": "sort", "column": "name"},
    ):
        asks(table, **message)
    assert (table.window, table.sort) == before


def test_rows_are_replaced_where_the_reader_stands() -> None:
    table = Table(MANY, sort="name")
    asks(table, do="window", first=500)
    table.rows = MANY.with_columns(pl.lit(1.0).alias("size"))
    assert (table.window["first"], table.keep) == (500, True)
    table.rows = MANY.head(3)
    assert (table.window["first"], table.keep, table.total) == (0, False, 3)


def test_cells_say_what_is_known_and_no_more() -> None:
    frame = pl.DataFrame(
        {
            "when": [datetime(2026, 11, 22, tzinfo=UTC)],
            "none": [None],
            "zero": [0.0],
            "many": [1_234_567],
            "yes": [True],
        }
    )
    assert Table(frame).window["rows"] == [["2026-11-22 00:00:00", None, "0", "1,234,567", "yes"]]


def test_a_saved_notebook_has_the_first_rows_escaped() -> None:
    still = Table(pl.DataFrame({"<b>": ["<script>alert(1)</script>"]})).still()
    assert "<script>" not in still
    assert "&lt;script&gt;" in still
    assert "9,980 rows more" in Table(MANY).still()


def test_the_browser_is_given_no_html() -> None:
    script = Table._esm
    assert "innerHTML" not in str(script)
    assert "insertAdjacentHTML" not in str(script)
