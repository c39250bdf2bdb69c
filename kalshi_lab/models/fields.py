"""The kinds of values that the exchange sends, and the base of its records: one field table behind objects, frames and store.

A record class declares each field once, with its wire name, its kind and its meaning. Objects validate through pydantic; frames
and the store read the same declarations through `columns()`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kalshi_lab import markup, money
from kalshi_lab.errors import BadPayload

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

V = TypeVar("V")
LONGEST_SHOWN = 100  # characters of a value in a repr
_OFFSET_TIME = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is written on the wire: see `READERS` for what each name accepts."""

    name: str


def _optional(read: Callable[[Any], V]) -> Callable[[Any], V | None]:
    return lambda value: None if value is None else read(value)


def utc(value: object) -> datetime:
    """A UTC-aware time from RFC 3339 text, Unix seconds or an aware datetime; ValueError for anything else."""
    try:
        return _utc(value)
    except (OverflowError, OSError):
        raise ValueError(f"a time out of range: {str(value)[:40]!r}") from None


def _utc(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and _OFFSET_TIME.match(value):
        parsed = datetime.fromisoformat(_micro(value))
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    raise ValueError(f"no time: {str(value)[:40]!r}")


def milliseconds(value: object) -> datetime:
    """A UTC-aware time from Unix milliseconds, or from what `utc` reads; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value, rest = divmod(value, 1000)
        return utc(value) + timedelta(milliseconds=rest)
    return utc(value)


def _micro(text: str) -> str:
    """Fractions of a second cut to microseconds, the finest that the tables hold."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"no whole number: {str(value)[:40]!r}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"a whole number beyond 64 bits: {str(value)[:40]!r}")
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"no number: {str(value)[:40]!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"a number out of range: {str(value)[:40]!r}") from None


def _is(kind: type) -> Callable[[Any], Any]:
    def read(value: object) -> object:
        if not isinstance(value, kind):
            raise ValueError(f"no {kind.__name__}: {str(value)[:40]!r}")
        return value

    return read


READERS: dict[str, Callable[[Any], Any]] = {
    "key": _is(str),
    "text": _is(str),
    "price": money.price,
    "money": money.dollars,
    "count": money.contracts,
    "integer": _integer,
    "number": _number,
    "flag": _is(bool),
    "time": utc,
    "unix": utc,
    "milliseconds": milliseconds,
    "json": lambda value: value,
}
SHOWN = {
    "key": "String",
    "text": "String",
    "json": "String, JSON",
    "price": "Decimal(9, 6)",
    "count": "Decimal(18, 2)",
    "money": "Decimal(18, 6)",
    "number": "Float64",
    "integer": "Int64",
    "flag": "Boolean",
    "time": "Datetime(us, UTC)",
    "unix": "Datetime(us, UTC)",
    "milliseconds": "Datetime(us, UTC)",
}
NUMBERS = frozenset({"price", "money", "count", "integer", "number", "unix", "milliseconds"})

Key = Annotated[str, Kind("key")]
Text = Annotated[str | None, Kind("text")]
Price = Annotated[Decimal | None, BeforeValidator(_optional(money.price)), Kind("price")]
Money = Annotated[Decimal | None, BeforeValidator(_optional(money.dollars)), Kind("money")]
Count = Annotated[Decimal | None, BeforeValidator(_optional(money.contracts)), Kind("count")]
Integer = Annotated[int | None, BeforeValidator(_optional(_integer)), Kind("integer")]
Number = Annotated[float | None, BeforeValidator(_optional(_number)), Kind("number")]
Flag = Annotated[bool | None, Kind("flag")]
Time = Annotated[datetime | None, BeforeValidator(_optional(utc)), Kind("time")]
UnixTime = Annotated[datetime, BeforeValidator(utc), Kind("unix")]
Unix = Annotated[datetime | None, BeforeValidator(_optional(utc)), Kind("unix")]
Milliseconds = Annotated[datetime | None, BeforeValidator(_optional(milliseconds)), Kind("milliseconds")]
Json = Kind("json")


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record: its name here, its names on the wire (the first is today's), its kind and meaning."""

    name: str
    wires: tuple[str, ...]
    kind: str
    doc: str
    required: bool


class Record(BaseModel):
    """One thing that the exchange sent: immutable, unknown fields kept in `model_extra`, unknown words kept as they are."""

    model_config = ConfigDict(
        frozen=True, extra="allow", populate_by_name=True, allow_inf_nan=False, hide_input_in_errors=True
    )
    nested: ClassVar[tuple[str, ...]] = ()  # groups of fields that the wire nests and the record spreads out
    apart: ClassVar[tuple[str, ...]] = ()  # wire keys that hold records of another kind
    title_field: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Every record's docstring lists its fields, which are the columns of its frames, so that the list cannot fall behind."""
        super().__pydantic_init_subclass__(**kwargs)
        rows = [f"    {column.name} ({SHOWN[column.kind]}): {column.doc}" for column in columns(cls)]
        cls.__doc__ = "\n".join([cls.__doc__ or "", "", "Fields, and columns of its frames (exact dtypes):", *rows])
        if "__repr__" in cls.__dict__:
            cls.__repr__ = _on_one_line(cls.__repr__)  # type: ignore[method-assign]  # the same, whatever its texts hold

    @model_validator(mode="before")
    @classmethod
    def _from_wire(cls, value: Any) -> Any:
        return tidy(cls, value) if isinstance(value, Mapping) else value

    def __repr__(self) -> str:
        table = columns(type(self))
        keys = [column.name for column in table if column.required] or [column.name for column in table[:3]]
        return f"<{type(self).__name__} {' '.join(_brief(getattr(self, name)) for name in keys)}>"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        title = (getattr(self, self.title_field, None) if self.title_field else None) or repr(self)
        facts = {name: value for name, value in self if value not in (None, "", (), {})}
        return markup.card(title, facts)


def _brief(value: object, longest: int = LONGEST_SHOWN) -> str:
    """A value on one line of a repr, whatever the exchange put into it."""
    text = str(value)[:longest]
    return text if text.isprintable() else repr(text)[1:-1]


def _on_one_line(shown: Callable[[Any], str]) -> Callable[[Any], str]:
    """The same repr, short and without a character that a terminal would obey."""

    @functools.wraps(shown)
    def line(record: Record) -> str:
        return _brief(shown(record), 4 * LONGEST_SHOWN)

    return line


@functools.cache
def columns(record: type[Record]) -> tuple[Column, ...]:
    """The field table of a record class, in the order of its declaration."""
    found = ((name, field, _kind(field)) for name, field in record.model_fields.items())
    return tuple(
        Column(name, _wires(name, field), kind, field.description or "", field.is_required())
        for name, field, kind in found
        if kind
    )


def _kind(field: FieldInfo) -> str:
    return next((mark.name for mark in field.metadata if isinstance(mark, Kind)), "")


def _wires(name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias) if alias else name,)


def tidy(record: type[Record], row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as received, made ready: nested groups spread out, empty times null, odd values set aside under `raw_<name>`.

    Unreadable numbers stay where they are, for the caller to refuse. Raises BadPayload for a row of the legacy format.
    """
    out = dict(row)
    for group in record.nested:
        inner = out.pop(group, None)
        out |= {f"{group}_{key}": value for key, value in inner.items()} if isinstance(inner, Mapping) else {}
    _refuse_legacy(record, out)
    for column in columns(record):
        for wire in column.wires:
            if out.get(wire) is not None:
                _set_aside(out, wire, column)
    return out


def _set_aside(out: dict[str, Any], wire: str, column: Column) -> None:
    value = out[wire]
    if column.kind == "time" and value == "":
        out[wire] = None
    elif column.kind not in NUMBERS and column.kind != "key" and not readable(column.kind, value):
        out[wire] = None
        out[f"raw_{column.name}"] = value


def legacy(sent: str, missing: str) -> BadPayload:
    """The error for an answer in the format of before 2026, which `sent` without `missing` gives away."""
    return BadPayload(
        f"legacy format: integer cents and counts, removed 12 March 2026 ({sent!r} without {missing!r})",
        hint="This is an old recording, or a server that does not speak today's format",
    )


@functools.cache
def _legacy(record: type[Record]) -> dict[str, str]:
    """The names under which whole cents and whole counts came until 2026, each with today's name of the same field."""
    table = columns(record)
    today = {wire for column in table for wire in column.wires}
    prices = {c.wires[0].removesuffix("_dollars"): c.wires[0] for c in table if c.wires[0].endswith("_dollars")}
    counts = {c.wires[0].removesuffix("_fp"): c.wires[0] for c in table if c.wires[0].endswith("_fp")}
    spread = {bare for bare in prices if bare.startswith(tuple(f"{group}_" for group in record.nested))}
    return {bare: name for bare, name in (prices | counts).items() if bare not in today or bare in spread}


def _refuse_legacy(record: type[Record], row: Mapping[str, Any]) -> None:
    """BadPayload for a row with whole cents or counts alone, which would otherwise be read as a market without prices."""
    for bare, name in _legacy(record).items():
        if type(row.get(bare)) is int and name not in row:
            raise legacy(bare, name)


def readable(kind: str, value: object) -> bool:
    """Whether a value is what its kind says."""
    try:
        READERS[kind](value)
    except (ValueError, OverflowError, OSError):
        return False
    return True


def wire(name: str | tuple[str, ...], doc: str) -> Any:
    """A field that the exchange sends under another name, or under one of several."""
    alias = name if isinstance(name, str) else AliasChoices(*name)
    return Field(None, validation_alias=alias, description=doc)


def doc(meaning: str) -> Any:
    """A field that may be absent."""
    return Field(None, description=meaning)


def key(meaning: str) -> Any:
    """A field without which a row means nothing."""
    return Field(description=meaning)
