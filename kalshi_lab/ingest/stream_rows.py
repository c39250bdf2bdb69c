"""Messages of the stream as rows of the store's tables, and the gaps between them; pure.

A row's `time` is the exchange's: when it sent the message, or where that is not said, when it happened, or else when it arrived here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import polars as pl

from kalshi_lab import frames
from kalshi_lab.book import wire
from kalshi_lab.errors import BadPayload
from kalshi_lab.models import Trade
from kalshi_lab.models.fields import READERS, columns, milliseconds, utc
from kalshi_lab.models.stream import StreamTrade, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from kalshi_lab.kalshi.connection import Frame
    from kalshi_lab.models.fields import Record

TEXT, WHOLE = pl.String(), pl.Int64()
_FRAME: dict[str, Any] = {"recording": TEXT, "frame": WHOLE}
_TIMES: dict[str, Any] = {"time": frames.TIME, "received_at": frames.TIME}
SCHEMAS: dict[str, dict[str, Any]] = {
    "book_changes": {
        **_FRAME, "connection": WHOLE, "sid": WHOLE, "seq": WHOLE, "ticker": TEXT, **_TIMES, "side": TEXT, "price": frames.PRICE,
        "delta": frames.COUNT, "yes_levels": TEXT, "no_levels": TEXT,
    },
    "ticks": {
        **_FRAME, "ticker": TEXT, **_TIMES, "price": frames.PRICE, "yes_bid": frames.PRICE, "yes_bid_size": frames.COUNT,
        "yes_ask": frames.PRICE, "yes_ask_size": frames.COUNT, "last_trade_size": frames.COUNT, "volume": frames.COUNT,
        "open_interest": frames.COUNT, "dollar_volume": WHOLE, "dollar_open_interest": WHOLE, "extra": TEXT,
    },
    "lifecycle": {
        **_FRAME, "kind": TEXT, "event_type": TEXT, "ticker": TEXT, "event_ticker": TEXT, **_TIMES, "details": TEXT,
    },
    "trades": {**frames.schema(Trade), "run_id": TEXT, "seen_at": frames.TIME},
}  # fmt: skip


def _wired(record: type[Record], names: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """Columns of a table that a message fills: name, name on the wire and kind of value, as the record of the message has them."""
    known = {column.name: column for column in columns(record)}
    return tuple((name, known[name].wires[0], known[name].kind) for name in names if name in known)


_TICK = _wired(Tick, [name for name in SCHEMAS["ticks"] if name not in {"ticker", "time"}])
_TRADE = _wired(StreamTrade, [name for name in frames.schema(Trade) if name not in {"trade_id", "ticker"}])
_PLAIN = frozenset(
    {"market_ticker", "market_id", "ts", "ts_ms", "time", "trade_id"}
)  # said in other columns, or not worth keeping
OF_A_CONNECTION = frozenset({"connection", "sequence"})  # gaps that end when everything is subscribed anew
BOOK = frozenset({"orderbook_snapshot", "orderbook_delta"})
CHANNELS = {
    "trade": "trade",
    "ticker": "ticker",
    "orderbook_snapshot": "orderbook_delta",
    "orderbook_delta": "orderbook_delta",
}


@dataclass(slots=True)
class Break:
    """Where something may be missing: numbered like a frame, in the order of arrival."""

    frame: int
    reason: str
    channel: str | None = None
    sid: int | None = None
    tickers: list[str] | None = None
    expected: int | None = None
    received: int | None = None
    lost: int | None = None
    since: datetime | None = None  # filled in from the frames around it
    until: datetime | None = None


class Numbered(NamedTuple):
    """A frame, its number within the recording, and when it came in, in seconds of the monotonic clock."""

    frame: int
    message: Frame
    at: float


class Back(NamedTuple):
    """The connection stands again and everything is subscribed; numbered like a frame."""

    frame: int


@dataclass(slots=True)
class Rows:
    """What a batch of messages became."""

    values: dict[str, list[list[Any]]] = field(default_factory=lambda: {name: [] for name in SCHEMAS})
    gaps: list[Break] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    new_markets: set[str] = field(default_factory=set)
    received: list[float] = field(default_factory=list)

    def tables(self) -> dict[str, pl.DataFrame]:
        """The rows as exact frames, by table."""
        return {
            name: pl.DataFrame(rows, schema=SCHEMAS[name], orient="row") for name, rows in self.values.items() if rows
        }


class _Envelope(msgspec.Struct):
    type: str
    msg: msgspec.Raw = msgspec.Raw(b"null")
    sending_ts_ms: int | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Reader:
    """Reads messages in their order into rows; it remembers when each subscription was last heard, since gaps begin there."""

    def __init__(self, recording: str, now: Callable[[], datetime]) -> None:
        self.recording = recording
        self.now = now  # the exchange's time
        self.last = now()  # when the last message was sent
        self.open: list[Break] = []  # gaps whose end was not met yet
        self._heard: dict[tuple[int, int | None], datetime] = {}
        self._readers: dict[str, Callable[[Numbered, _Envelope, dict[str, Any], datetime, Rows], None]] = {
            "orderbook_delta": self._delta, "orderbook_snapshot": self._snapshot, "ticker": self._tick, "trade": self._trade,
            "market_lifecycle_v2": self._lifecycle, "event_lifecycle": self._lifecycle, "event_fee_update": self._lifecycle,
        }  # fmt: skip
        self._connection = 0

    def read(self, items: Sequence[Numbered | Break | Back]) -> Rows:
        """The rows of the next messages."""
        rows = Rows()
        for item in items:
            if isinstance(item, Break):
                item.since = self._heard.get((self._connection, item.sid), self.last) if item.sid else self.last
                self.open.append(item)
            elif isinstance(item, Back):
                self._end(rows, max(self.last, self.now()), [gap for gap in self.open if gap.reason in OF_A_CONNECTION])
            else:
                self._message(item, rows)
        return rows

    def _end(self, rows: Rows, until: datetime, gaps: Sequence[Break]) -> None:
        for gap in gaps:
            gap.until = until
        rows.gaps += gaps
        self.open = [gap for gap in self.open if gap.until is None]

    def close(self, now: datetime) -> list[Break]:
        """The gaps that nothing ended, which last until now."""
        closed, self.open = self.open, []
        for gap in closed:
            gap.until = max(now, gap.since or now)
        return closed

    @property
    def kept_until(self) -> datetime:
        """The last moment about which all is known that can be: gaps that are open still say nothing yet about theirs."""
        return min((gap.since for gap in self.open if gap.since), default=self.last)

    def _message(self, item: Numbered, rows: Rows) -> None:
        message = item.message
        rows.received.append(item.at)
        rows.kinds[message.type] += 1
        self._connection = message.connection
        try:
            envelope = _ENVELOPE.decode(message.raw)
            msg = msgspec.json.decode(envelope.msg)
        except (ValueError, RecursionError) as error:
            self._time(item, message.received_at, rows)
            self._refuse(item, error, rows)
            return
        msg = msg if isinstance(msg, dict) else {}
        time = _sent(envelope, msg) or message.received_at
        self._time(item, time, rows)
        reader = self._readers.get(envelope.type)
        try:
            if reader is not None:
                reader(item, envelope, msg, time, rows)
            else:
                self._refuse(item, f"no table takes messages of type {envelope.type[:40]!r}", rows, msg)
        except (ValueError, TypeError, KeyError, IndexError, BadPayload) as error:
            self._refuse(item, error, rows, msg)

    def _time(self, item: Numbered, time: datetime, rows: Rows) -> None:
        """Move on to a message's time, and close the gaps that end with it."""
        message = item.message
        self.last = max(self.last, time)
        self._heard[message.connection, message.sid] = self.last
        if self.open:
            self._end(rows, self.last, [gap for gap in self.open if _ends(gap, message)])

    def _refuse(self, item: Numbered, error: Exception | str, rows: Rows, msg: Mapping[str, Any] | None = None) -> None:
        """Put a message aside; a book that misses it has a gap there."""
        message = item.message
        raw = message.raw.decode("utf-8", "replace")
        reason = str(error) if not isinstance(error, KeyError) else f"no {error}"
        rows.refused.append(
            {
                "dataset": "stream", "run_id": self.recording, "request_id": str(item.frame), "reason": reason, "raw": raw,
                "time": message.received_at,
            }
        )  # fmt: skip
        ticker = (msg or {}).get("market_ticker")
        if message.type in BOOK:
            tickers = [ticker] if isinstance(ticker, str) else None
            rows.gaps.append(
                Break(
                    item.frame, "unreadable", "orderbook_delta", message.sid, tickers, lost=1, since=self.last, until=self.last
                )
            )  # fmt: skip

    def _delta(self, item: Numbered, _: _Envelope, msg: dict[str, Any], time: datetime, rows: Rows) -> None:
        side, price, delta = msg["side"], msg["price_dollars"], msg["delta_fp"]
        if side not in {"yes", "no"}:
            raise ValueError(f"side {str(side)[:40]!r}")
        wire.price(price)
        rows.values["book_changes"].append(
            [*self._book(item, msg, time), side, READERS["price"](price), READERS["count"](delta), None, None]
        )

    def _snapshot(self, item: Numbered, _: _Envelope, msg: dict[str, Any], time: datetime, rows: Rows) -> None:
        wire.sides({"msg": msg}, use_yes_price=False)
        levels = [msgspec.json.encode(msg.get(key) or []).decode() for key in ("yes_dollars_fp", "no_dollars_fp")]
        rows.values["book_changes"].append([*self._book(item, msg, time), None, None, None, *levels])

    def _book(self, item: Numbered, msg: dict[str, Any], time: datetime) -> list[Any]:
        message, ticker = item.message, _text(msg, "market_ticker")
        at = (message.connection, message.sid, message.seq)
        return [self.recording, item.frame, *at, ticker, time, message.received_at]

    def _tick(self, item: Numbered, _: _Envelope, msg: dict[str, Any], time: datetime, rows: Rows) -> None:
        values = [_value(msg, wired, kind) for _, wired, kind in _TICK]
        ticker, received_at = _text(msg, "market_ticker"), item.message.received_at
        row = [self.recording, item.frame, ticker, time, received_at, *values, _extra(msg, _TICK)]
        rows.values["ticks"].append(row)

    def _trade(self, item: Numbered, _: _Envelope, msg: dict[str, Any], time: datetime, rows: Rows) -> None:
        created = _happened(msg) or time
        values = [_value(msg, wired, kind) for _, wired, kind in _TRADE]
        known = [_text(msg, "trade_id"), _text(msg, "market_ticker"), created]
        extra = _extra(msg, _TRADE)
        rows.values["trades"].append([*known, *values, extra, self.recording, item.message.received_at])

    def _lifecycle(self, item: Numbered, envelope: _Envelope, msg: dict[str, Any], time: datetime, rows: Rows) -> None:
        ticker, about = msg.get("market_ticker"), msg.get("additional_metadata")
        event = msg.get("event_ticker") or (about.get("event_ticker") if isinstance(about, dict) else None)
        change = msg.get("event_type")
        for value in (ticker, event, change):
            if not isinstance(value, str | None):
                raise ValueError(f"no text: {str(value)[:40]!r}")  # noqa: TRY004 - the row is put aside
        rows.values["lifecycle"].append(
            [
                self.recording, item.frame, envelope.type, change, ticker, event, time, item.message.received_at,
                bytes(envelope.msg).decode(),
            ]
        )  # fmt: skip
        if ticker and change in {"created", "activated"}:
            rows.new_markets.add(ticker)


def _ends(gap: Break, message: Frame) -> bool:
    """Whether a message tells that the exchange speaks again where a gap was; a lost connection says itself when it stands again."""
    if gap.reason == "sequence":
        return gap.sid == message.sid
    if gap.reason == "subscription":
        return gap.channel == CHANNELS.get(message.type, "market_lifecycle_v2")
    return gap.reason != "connection"


def _sent(envelope: _Envelope, msg: Mapping[str, Any]) -> datetime | None:
    """When the exchange sent a message, or else when what it tells happened; None where neither can be read."""
    if envelope.sending_ts_ms is not None:
        try:
            return milliseconds(envelope.sending_ts_ms)
        except ValueError:
            pass
    return _happened(msg)


def _happened(msg: Mapping[str, Any]) -> datetime | None:
    for key, read in (("ts_ms", milliseconds), ("ts", utc)):
        if msg.get(key) is not None:
            try:
                return read(msg[key])
            except ValueError:
                continue
    return None


def _value(msg: Mapping[str, Any], name: str, kind: str) -> Any:
    value = msg.get(name)
    return None if value is None else READERS[kind](value)


def _text(msg: Mapping[str, Any], name: str) -> str:
    value = msg[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text: {str(value)[:40]!r}")  # noqa: TRY004 - the row is put aside
    return value


def _extra(msg: Mapping[str, Any], table: Sequence[tuple[str, str, str]]) -> str | None:
    """Fields that the table does not know, as JSON."""
    known = _PLAIN | {wired for _, wired, _ in table}
    left = {name: value for name, value in msg.items() if name not in known}
    return msgspec.json.encode(left, order="sorted").decode() if left else None
