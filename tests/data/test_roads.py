"""Three roads from the same bytes to one frame: fast, row by row, and over objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_lab import frames
from kalshi_lab.models import Event, Market, Record, Trade, columns
from kalshi_lab.objects import many
from tests.data.wires import RECORDS, ROADS, careful, fast, objects, page, plain, rows

EVERY_RECORD = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
EVERY_ROAD = pytest.mark.parametrize("road", ROADS)


@EVERY_RECORD
@settings(max_examples=60)
@given(data=st.data())
def test_valid_pages_are_read_alike(record: type[Record], data: st.DataObject) -> None:
    """Whatever fields a page has, all three roads give the same rows and refuse none."""
    body = page(data.draw(st.lists(rows(record), max_size=3)))
    found = [road(record, body) for road in ROADS.values()]
    assert [batch.refused for batch in found] == [(), (), ()]
    assert plain(record, found[0].frame) == plain(record, found[1].frame) == plain(record, found[2].frame)
    assert {batch.received for batch in found} == {found[0].frame.height}


@EVERY_RECORD
@settings(max_examples=100)
@given(data=st.data())
def test_odd_pages_are_read_alike(record: type[Record], data: st.DataObject) -> None:
    """With an odd value and unknown fields the roads still agree, on the rows, on `extra`, and on what is refused."""
    body = page(data.draw(st.lists(rows(record, odd=True), min_size=1, max_size=2)))
    found = [road(record, body) for road in ROADS.values()]
    assert plain(record, found[0].frame) == plain(record, found[1].frame) == plain(record, found[2].frame)
    assert len({tuple(one.raw for one in batch.refused) for batch in found}) == 1
    assert all(batch.received == batch.frame.height + len(batch.refused) for batch in found)


@EVERY_RECORD
def test_the_schema_is_always_the_same(record: type[Record]) -> None:
    """No rows, null rows, bare rows, odd rows: the columns and their types are those of the field table."""
    expected = frames.schema(record)
    key = {column.wires[0]: "A" if column.kind == "key" else 1 for column in columns(record) if column.required}
    bodies = [page([]), page([key]), page([{**key, "new": 1}]), b'{"rows":null}', page([{}])]
    for body in bodies:
        for road in ROADS.values():
            assert road(record, body).frame.schema == expected
    assert frames.empty(record).schema == expected
    assert list(expected)[-1] == "extra"
    assert frames.floats(frames.empty(record)).schema == {
        name: pl.Float64() if isinstance(kind, pl.Decimal) else kind for name, kind in expected.items()
    }


@EVERY_RECORD
def test_every_column_says_what_it_is(record: type[Record]) -> None:
    """Each field has a meaning, a known kind and a wire name that no other field of the record has."""
    table = columns(record)
    assert all(column.doc.strip() and column.kind in frames.DTYPES for column in table)
    wires = [wire for column in table for wire in column.wires]
    assert len(wires) == len(set(wires))
    assert [column.name for column in table if column.required]


def read(road: str, **fields: Any) -> dict[str, Any]:
    batch = ROADS[road](Market, page([{"ticker": "A", **fields}]))
    assert batch.refused == ()
    return batch.frame.row(0, named=True)


@EVERY_ROAD
@pytest.mark.parametrize(
    ("wire", "instant"),
    [
        ("2026-11-22T14:00:00Z", datetime(2026, 11, 22, 14, tzinfo=UTC)),
        ("2026-11-22T14:00:00+05:30", datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
        ("2026-11-22T14:00:00-05:00", datetime(2026, 11, 22, 19, tzinfo=UTC)),
        ("2026-11-22T14:00:00", datetime(2026, 11, 22, 14, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        *(
            (
                f"2026-11-22T14:00:00.{'123456789'[:n]}Z",
                datetime(2026, 11, 22, 14, 0, 0, int("123456789"[:n].ljust(6, "0")[:6]), UTC),
            )
            for n in range(1, 10)
        ),
        ("", None),
        (None, None),
    ],
)
def test_times(road: str, wire: str | None, instant: datetime | None) -> None:
    """Any offset and one to nine digits of a second become the same instant in UTC, cut at microseconds; empty is null."""
    row = read(road, open_time=wire, close_time="2026-11-23T00:00:00Z")
    assert (row["open_time"], row["extra"]) == (instant, None)
    assert row["close_time"] == datetime(2026, 11, 23, tzinfo=UTC)


@EVERY_ROAD
@pytest.mark.parametrize("wire", ["soon", "2026-11-22", "2026-13-01T00:00:00Z", "14:00", 10**20, True, ["x"]])
def test_an_odd_time_is_kept_beside_its_column(road: str, wire: Any) -> None:
    """A time that cannot be read leaves its column null and stays in extra under raw_<name>."""
    row = read(road, open_time=wire, close_time="2026-11-23T00:00:00Z")
    assert row["open_time"] is None
    assert json.loads(row["extra"]) == {"raw_open_time": wire}
    assert row["close_time"] == datetime(2026, 11, 23, tzinfo=UTC)


@EVERY_ROAD
def test_unknown_words_fields_and_nulls_are_kept(road: str) -> None:
    """New words stay as they are, new fields go to extra in order, null stays null and zero stays zero."""
    row = read(
        road, status="hibernating", zeta={"b": 1, "a": [None]}, alpha=None, volume_fp=None, open_interest_fp="0.00"
    )
    assert (row["status"], row["volume"], row["open_interest"]) == ("hibernating", None, 0)
    assert row["extra"] == '{"alpha":null,"zeta":{"a":[null],"b":1}}'


@EVERY_ROAD
@pytest.mark.parametrize("wire", ["abc", 5, [1, {"a": None}], [{"side": 5}]])
def test_odd_nested_values_are_not_lost(road: str, wire: Any) -> None:
    """A nested field of an unexpected shape is in its column or, where an object cannot hold it so, in extra."""
    row = read(road, mve_selected_legs=wire)
    held = row["mve_selected_legs"]
    assert (json.loads(held) if held else json.loads(row["extra"])["raw_mve_selected_legs"]) == wire


@EVERY_ROAD
@pytest.mark.parametrize(
    "row", ['{"yes_bid_dollars":"0.5"}', '{"ticker":null}', '{"ticker":7}', "[]", "7", "null", '"A"']
)
def test_a_row_without_its_key_is_refused(road: str, row: str) -> None:
    """What has no ticker, or is no object, is put aside as it came; the row beside it is read."""
    body = f'{{"rows":[{row},{{"ticker":"B"}}]}}'.encode()
    batch = ROADS[road](Market, body)
    assert batch.frame.get_column("ticker").to_list() == ["B"]
    assert ([one.raw for one in batch.refused], batch.received) == ([row], 2)


@EVERY_ROAD
def test_text_that_is_no_utf_8_spoils_one_row(road: str) -> None:
    """A row with broken text is put aside; the others are read."""
    batch = ROADS[road](Market, b'{"rows":[{"ticker":"A","title":"\xff"},{"ticker":"B"}]}')
    assert batch.frame.get_column("ticker").to_list() == ["B"]
    assert len(batch.refused) == 1


def test_the_markets_of_an_event_are_apart() -> None:
    """Nested markets are objects of their own on an event, and no column and no extra of the frame of events."""
    body = page([{"event_ticker": "E", "markets": [{"ticker": "E-1", "yes_bid_dollars": "0.4200"}], "new": 1}])
    (event,), _ = many(Event, body, "rows")
    assert [str(market.yes_bid) for market in event.markets] == ["0.4200"]
    for road in (fast, careful, objects):
        frame = road(Event, body).frame
        assert (frame.schema, frame.get_column("extra").to_list()) == (frames.schema(Event), ['{"new":1}'])


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        (b'{"cursor":"abc","rows":[]}', "abc"),
        (b'{"rows":[],"cursor":"abc"}', "abc"),
        (b' { "cursor" : "a\\"b\\\\" , "rows" : [] } ', 'a"b\\'),
        (b'{"rows":[], "cursor": "a\\"}\\u00e9" }\n', 'a"}é'),
        (b'{"cursor":null,"rows":[]}', ""),
        (b'{"rows":[],"cursor":null}', ""),
        (b'{"rows":[],"cursor":""}', ""),
        (b'{"rows":[]}', ""),
        (b"{}", ""),
        (b'{"rows":[],"next_cursor":"n"}', "n"),
        (b'{"next_cursor":"n","rows":[]}', "n"),
        (b'{"rows":[{"cursor":"inner"}]}', ""),
        (b'{"meta":{"a":1,"cursor":"inner"},"rows":[]}', ""),
        (b'{"rows":[],"meta":{"a":1,"cursor":"inner"}}', ""),
        (b'{"rows":[{"title":"x\\",\\"cursor\\":\\"trap\\"}"}]}', ""),
        (b'{"a":1,"cursor":"middle","rows":[]}', "middle"),
        (b'{"rows":[' + b"1," * 3000 + b'1],"cursor":"' + b"x" * 3000 + b'"}', "x" * 3000),
        (b'{"cursor":"' + b"y" * 3000 + b'","rows":[]}', "y" * 3000),
    ],
)
def test_the_next_cursor(body: bytes, cursor: str) -> None:
    """The cursor of the page itself is found at its head, at its tail or between, and never one from inside a row."""
    assert frames.next_cursor(body) == cursor


@given(st.text(max_size=40), st.booleans())
def test_any_cursor_survives(cursor: str, first: bool) -> None:
    """Whatever text a cursor is, it comes out of the bytes as it went in."""
    parts = (
        {"cursor": cursor, "rows": [{"cursor": "inner"}]}
        if first
        else {"rows": [{"cursor": "inner"}], "cursor": cursor}
    )
    for separators in ((",", ":"), (", ", ": ")):
        assert frames.next_cursor(json.dumps(parts, separators=separators).encode()) == cursor


def test_duplicates_are_dropped_and_counted() -> None:
    """Rows whose key came before are dropped across pages and within one."""
    seen = frames.Distinct(("trade_id",))
    pages = [["a", "b"], ["b", "c", "c"], [], ["a"]]
    found = [seen.fresh(fast(Trade, page([{"trade_id": name} for name in names])).frame) for names in pages]
    assert [frame.get_column("trade_id").to_list() for frame in found] == [["a", "b"], ["c"], [], []]
    assert seen.duplicates == 3
    pairs = frames.Distinct(("trade_id", "ticker"))
    twice = fast(Trade, page([{"trade_id": "a", "ticker": ticker} for ticker in "XYX"])).frame
    assert (pairs.fresh(twice).height, pairs.duplicates) == (2, 1)
