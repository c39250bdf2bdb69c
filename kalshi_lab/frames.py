"""Wire bytes to Polars frames with fixed schemas, without an object for each row.

A page takes the fast road: msgspec decodes it into structs made from the record's field table, and their columns become typed
series. A page that holds anything odd takes the careful road, row by row: unknown fields are kept as JSON in `extra`, odd words and
nulls stay, and only a row without its key or with an unreadable number is put aside, with its reason. Both roads give the same frame.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
import polars as pl

from kalshi_lab import money
from kalshi_lab.errors import UsageError
from kalshi_lab.models.fields import NUMBERS, READERS, Column, Record, columns, readable, tidy, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)
PRICE, COUNT, MONEY, TIME = pl.Decimal(9, 6), pl.Decimal(18, 2), pl.Decimal(18, 6), pl.Datetime("us", "UTC")
DTYPES: dict[str, pl.DataType] = {
    "key": pl.String(),
    "text": pl.String(),
    "json": pl.String(),
    "price": PRICE,
    "count": COUNT,
    "money": MONEY,
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "flag": pl.Boolean(),
    "time": TIME,
    "unix": TIME,
    "milliseconds": TIME,
}
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_ON_WIRE: dict[str, Any] = {
    "number": float,
    "integer": _INT64,
    "unix": _INT64,
    "milliseconds": _INT64,
    "flag": bool,
    "json": msgspec.Raw,
}
_PATTERNS = {"price": money.PRICE_PATTERN, "count": money.COUNTS_PATTERN, "money": money.DOLLARS_PATTERN}
_UNIX: dict[str, Literal["s", "ms"]] = {"unix": "s", "milliseconds": "ms"}
_UTC_TEXT = "%Y-%m-%dT%H:%M:%S%.fZ"
_HEAD = re.compile(rb'^\s*\{\s*"(?:next_)?cursor"\s*:\s*("(?:[^"\\]|\\.)*"|null)')
_TAIL = re.compile(rb',\s*"(?:next_)?cursor"\s*:\s*("(?:[^"\\]|\\.)*"|null)\s*\}\s*$')
EXTRA = "extra"
_NULL = msgspec.Raw(b"null")


class OddPageError(ValueError):
    """A page that the fast road does not take."""


class Refused(NamedTuple):
    """A row that could not be read: its JSON as received, and why."""

    raw: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one or more pages: an exact frame, the rows put aside, and how many were received."""

    frame: pl.DataFrame
    refused: tuple[Refused, ...] = ()
    received: int = 0


def schema(record: type[Record]) -> pl.Schema:
    """The schema of a record's exact frame: its fields in order, then `extra` (JSON text of fields that are not in the table)."""
    return pl.Schema({column.name: DTYPES[column.kind] for column in columns(record)} | {EXTRA: pl.String()})


def empty(record: type[Record]) -> pl.DataFrame:
    """A frame of no rows, with the schema."""
    return pl.DataFrame(schema=schema(record))


def floats(frame: pl.DataFrame) -> pl.DataFrame:
    """The same frame with Decimal columns as Float64, as analyses want them."""
    return frame.cast({pl.Decimal: pl.Float64})


def next_cursor(body: bytes) -> str:
    """The cursor of the next page, cut out of the bytes before they are decoded; empty at the end."""
    found = _TAIL.search(body[-2048:]) or _HEAD.match(body[:2048])
    if found:
        return msgspec.json.decode(found[1]) or ""
    rest = msgspec.json.decode(body, type=_Cursor)
    return rest.cursor or rest.next_cursor or ""


class _Cursor(msgspec.Struct):
    cursor: str | None = None
    next_cursor: str | None = None


@functools.cache
def _table(record: type[Record], only: tuple[str, ...]) -> Sequence[Column]:
    """The record's columns, or those that were chosen, in the order of the field table."""
    return [column for column in columns(record) if not only or column.name in only]


@functools.cache
def _fast(record: type[Record], key: str, only: tuple[str, ...] = ()) -> Callable[[bytes], list[Sequence[Any]]] | None:
    """What reads a page into columns of values; None where the wire nests or varies, which the careful road handles.

    The struct's fields stand in alphabetical order, as the exchange sends them: msgspec then finds each where it looks first.
    """
    table = _table(record, only)
    if record.nested or record.apart or any(len(column.wires) > 1 for column in table):
        return None
    sent = sorted(table, key=lambda column: column.wires[0])
    fields: list[Any] = [(f"f{place}", *_struct_field(column)) for place, column in enumerate(sent)]
    rename = {f"f{place}": column.wires[0] for place, column in enumerate(sent)}
    row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=not only, gc=False, kw_only=True)
    page = msgspec.defstruct("Page", [("rows", list[row])], rename={"rows": key})  # type: ignore[valid-type]
    decoder, places = msgspec.json.Decoder(page), [sent.index(column) for column in table]

    def read(body: bytes) -> list[Sequence[Any]]:
        rows = decoder.decode(body).rows  # type: ignore[attr-defined]
        turned = list(zip(*map(msgspec.structs.astuple, rows), strict=True)) or [()] * len(table)
        return [turned[place] for place in places]

    return read


def _struct_field(column: Column) -> tuple[Any, ...]:
    """The type and default of a column's field in the fast road's struct."""
    on_wire = _ON_WIRE.get(column.kind, str)
    if column.required:
        return (on_wire,)
    return (on_wire, msgspec.field(default=_NULL)) if on_wire is msgspec.Raw else (on_wire | None, None)


def decode(record: type[Record], body: bytes, key: str, **context: object) -> Batch:
    """One page as received, as a Batch; `context` fills fields that the rows themselves do not carry.

    Raises ValueError where the page is no JSON object or lacks its list under `key`.
    """
    fast = None if context else _fast(record, key)
    if fast is not None:
        try:
            frame = _columnar(columns(record), fast(body))
            return Batch(frame.with_columns(pl.lit(None, pl.String).alias(EXTRA)), received=frame.height)
        except (msgspec.ValidationError, UnicodeDecodeError, OddPageError, pl.exceptions.PolarsError):
            pass  # something odd on the page: the careful road finds which row
    return rows_to_batch(record, raw_rows(body, key), context)


def some(record: type[Record], body: bytes, key: str, only: tuple[str, ...]) -> pl.DataFrame | None:
    """Some columns of a page as received, read alone and so much faster; None where any of them is odd: `decode` tells what."""
    fast = _fast(record, key, only)
    if fast is None:
        return None
    try:
        return _columnar(_table(record, only), fast(body))
    except (msgspec.DecodeError, UnicodeDecodeError, OddPageError, pl.exceptions.PolarsError, RecursionError):
        return None


def raw_rows(body: bytes, key: str) -> list[msgspec.Raw]:
    """The rows under `key` as raw JSON; null stands for an empty list. Raises ValueError where the key is missing."""
    envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if key not in envelope:
        raise ValueError(f"the answer has no {key!r}, only {sorted(envelope)[:8]}")
    return msgspec.json.decode(envelope[key], type=list[msgspec.Raw] | None) or []


def rows_to_batch(
    record: type[Record], rows: Iterable[msgspec.Raw], context: Mapping[str, object] | None = None
) -> Batch:
    """Rows of raw JSON as a Batch, by the careful road."""
    good, refused, received = [], [], 0
    for raw in rows:
        received += 1
        try:
            good.append(_careful(record, raw, context or {}))
        except ValueError as error:
            refused.append(Refused(_whole(raw, context or {}), str(error)))
    return Batch(_frame(record, good), tuple(refused), received)


def _whole(raw: msgspec.Raw, context: Mapping[str, object]) -> str:
    """A refused row as received, after what its page alone says of it, without which it could not be read again."""
    text = bytes(raw).decode("utf-8", "replace")
    if not context or not text.startswith("{"):
        return text
    said, rest = msgspec.json.encode(context).decode(), text[1:].lstrip()
    return said[:-1] + ("" if rest.startswith("}") else ",") + rest


def _careful(record: type[Record], raw: msgspec.Raw, context: Mapping[str, object]) -> list[Any]:
    """One row's values in the order of the field table, `extra` last; ValueError says why it is refused."""
    row = msgspec.json.decode(raw)
    if not isinstance(row, dict):
        raise ValueError(f"no object but {type(row).__name__}")
    left = tidy(record, {**context, **row})
    values = [_take(left, column) for column in columns(record)]
    for name in record.apart:
        left.pop(name, None)
    for name in left:
        tell_new(record, name)
    return [*values, msgspec.json.encode(left, order="sorted").decode() if left else None]


@functools.cache
def tell_new(record: type[Record], name: str) -> None:
    """Warn of a field that the table does not know, once for each in a process; its values are kept in `extra`."""
    log.warning("%s has a new field %.80r, which is kept in `extra`", record.__name__, name)


def _take(left: dict[str, Any], column: Column) -> Any:
    value = next((left[wire] for wire in column.wires if left.get(wire) is not None), None)
    for wire in column.wires:
        left.pop(wire, None)
    if value is None and column.required:
        raise ValueError(f"no {column.wires[0]}")
    if value is not None and (column.kind in NUMBERS or column.required) and not readable(column.kind, value):
        raise ValueError(f"unreadable {column.wires[0]}: {str(value)[:60]!r}")
    return value if value is None else _written(column.kind, value)


def _written(kind: str, value: Any) -> Any:
    """A value as the columns expect it: nested ones as JSON text, amounts and times as text where they came as whole numbers."""
    if kind == "json":
        return msgspec.json.encode(value).decode()
    if kind in _PATTERNS:
        return str(value)
    return utc(value).isoformat() if kind == "time" and isinstance(value, int) else value


def _frame(record: type[Record], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    if not rows:
        return empty(record)
    *values, extra = zip(*rows, strict=True)
    return _columnar(columns(record), values).with_columns(pl.Series(EXTRA, extra, dtype=pl.String))


def _columnar(table: Sequence[Column], values: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """The typed frame of columns of values; texts of one kind are read in one go, whatever column they are of."""
    rows = len(values[0])
    made: dict[int, pl.Series] = {}
    for kind, read in _READ_TEXT.items():
        places = [place for place, column in enumerate(table) if column.kind == kind]
        text = pl.Series(list(chain.from_iterable(values[place] for place in places)), dtype=pl.String)
        typed = read(text, kind)
        made |= {place: typed.slice(turn * rows, rows).alias(table[place].name) for turn, place in enumerate(places)}
    made |= {place: _series(column, values[place]) for place, column in enumerate(table) if place not in made}
    return pl.DataFrame([made[place] for place in range(len(table))])


def _series(column: Column, values: Sequence[Any]) -> pl.Series:
    """One typed column of a kind that is not written as text."""
    kind = column.kind
    if kind in _UNIX and any(isinstance(value, str) for value in values):
        return pl.Series(column.name, [None if one is None else READERS[kind](one) for one in values], dtype=TIME)
    if kind in _UNIX:
        since = pl.Series(column.name, values, dtype=pl.Int64)
        return pl.from_epoch(since, _UNIX[kind]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if kind == "json":
        return _json(column.name, values)
    if kind == "integer":
        values = [None if value is None else int(value) for value in values]
    if kind == "number":
        values = [None if value is None else float(value) for value in values]
    return pl.Series(column.name, values, dtype=DTYPES[kind])


def _plain(text: pl.Series, _kind: str) -> pl.Series:
    return text


def _exact(text: pl.Series, kind: str) -> pl.Series:
    """Texts of numbers as decimals; checked by their pattern first, since a cast rounds a seventh decimal in silence."""
    if not text.str.contains(_PATTERNS[kind]).all():
        raise OddPageError(kind)
    return text.cast(DTYPES[kind])


def _json(name: str, values: Sequence[msgspec.Raw | str | None]) -> pl.Series:
    """Nested values as the JSON that was received, null where there was none."""
    if not isinstance(values[0] if values else None, msgspec.Raw):
        return pl.Series(name, values, dtype=pl.String)
    raw = [None if value is _NULL else bytes(value) for value in values]  # type: ignore[arg-type]
    text = pl.Series(name, raw, dtype=pl.Binary).cast(pl.String)
    if not (text == "null").any():
        return text
    return text.to_frame().select(pl.when(pl.first() != "null").then(pl.first())).to_series()


def _times(text: pl.Series, _kind: str) -> pl.Series:
    """Texts of times; an empty one is null."""
    made = text.str.to_datetime(_UTC_TEXT, time_unit="us", time_zone="UTC", strict=False)
    if made.null_count() == text.null_count() + (text == "").sum():
        return made
    return pl.Series([None if not value else _utc(value) for value in text], dtype=TIME)


def _utc(text: str) -> Any:
    if not readable("time", text):
        raise OddPageError(text)
    return utc(text)


_READ_TEXT = {"text": _plain, "price": _exact, "count": _exact, "money": _exact, "time": _times}


def of(records: Sequence[Record], *, exact: bool = False) -> pl.DataFrame:
    """A frame of objects of one kind, with the schema that their listing has.

    Prices and counts are Float64 dollars and contracts; `exact=True` keeps Decimal columns. Fields that the table does not know are
    JSON text in `extra`. Raises UsageError for what are no objects of one kind.
    """
    if not isinstance(records, Iterable):
        raise UsageError(
            f"{type(records).__name__} is no list of objects", hint="Give a list of markets, of trades, ..."
        )
    kinds = {type(one) for one in records}
    if not kinds:
        return pl.DataFrame()
    kind = kinds.pop()
    if kinds or not issubclass(kind, Record):
        raise UsageError("a frame is made of objects of one kind", hint="Give a list of markets, of trades, ...")
    made = pl.DataFrame([_row(kind, item) for item in records], schema=schema(kind), orient="row")
    return made if exact else floats(made)


def _row(kind: type[Record], item: Record) -> list[Any]:
    values = [_cell(column, getattr(item, column.name)) for column in columns(kind)]
    extra = item.model_extra or {}
    return [*values, msgspec.json.encode(extra, order="sorted").decode() if extra else None]


def _cell(column: Column, value: Any) -> Any:
    if column.kind != "json" or value is None:
        return value
    return msgspec.json.encode(value, enc_hook=_as_sent).decode()


def _as_sent(thing: Record) -> dict[str, Any]:
    """A nested record under the names of the wire, what was set aside back in its place."""
    extra = dict(thing.model_extra or {})
    said = [column for column in columns(type(thing)) if column.name in thing.model_fields_set]
    sent = {c.wires[0]: extra.pop(f"raw_{c.name}", _unix(c, getattr(thing, c.name))) for c in said}
    return sent | extra


def _unix(column: Column, value: Any) -> Any:
    """A time as it was sent where it came as a number."""
    scale = {"unix": 1, "milliseconds": 1000}.get(column.kind)
    return value if scale is None or value is None else round(value.timestamp() * scale)


@dataclass
class Distinct:
    """Drops rows whose key was seen before, and counts them."""

    keys: tuple[str, ...]
    seen: set[Any] = field(default_factory=set)
    duplicates: int = 0

    def fresh(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows whose key is new."""
        keys = frame.select(self.keys).rows() if len(self.keys) > 1 else frame.get_column(self.keys[0]).to_list()
        new = [key not in self.seen and not self.seen.add(key) for key in keys]  # type: ignore[func-returns-value]
        self.duplicates += len(new) - sum(new)
        return frame if all(new) else frame.filter(pl.Series(new, dtype=pl.Boolean))
