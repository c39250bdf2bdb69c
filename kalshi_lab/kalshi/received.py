"""What a stream brought: what waits for its reader, and the last messages of each type, as objects and frames."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kalshi_lab import frames, objects
from kalshi_lab.errors import unknown
from kalshi_lab.kalshi.connection import Frame
from kalshi_lab.kalshi.notices import Missed, Notice
from kalshi_lab.models.stream import MESSAGES, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from kalshi_lab.clock import Clock
    from kalshi_lab.errors import LabError
    from kalshi_lab.kalshi.notices import Gap

KEPT = 10_000  # messages of each type
NOTES = 1_000  # gaps and errors
ROOM = 64 * 1024 * 1024  # bytes that may wait, and that are kept of each type
Item = Frame | Notice


class Queue:
    """What waits for a reader, bounded in number and bytes; what finds no room is counted, and told before what comes next."""

    def __init__(self, clock: Clock, most: int, *, room: int = ROOM) -> None:
        self.most, self.room = most, room
        self._clock = clock
        self._items: deque[Item] = deque()
        self._size = 0
        self._types: Counter[str] = Counter()
        self._tickers: Counter[str] = Counter()

    def put(self, item: Item) -> None:
        """Let it wait, where there is room."""
        size = _size(item)
        if len(self._items) >= self.most or (self._items and self._size + size > self.room):
            self._miss(item)
            return
        if self._types:
            self._items.append(self._missed())
        self._items.append(item)
        self._size += size

    def take(self) -> Item | None:
        """The oldest; None where there is none."""
        if not self._items:
            return self._missed() if self._types else None
        item = self._items.popleft()
        self._size -= _size(item)
        return item

    def _miss(self, item: Item) -> None:
        self._types[item.type if isinstance(item, Frame) else type(item).__name__] += 1
        if isinstance(item, Frame) and item.ticker:
            self._tickers[item.ticker] += 1

    def _missed(self) -> Missed:
        made = Missed(dict(self._types), self._clock.now(), dict(self._tickers))
        self._types.clear()
        self._tickers.clear()
        return made


def _size(item: Item) -> int:
    return len(item.raw) if isinstance(item, Frame) else 0


class Kept:
    """The newest frames of one type, bounded in number and bytes; the last one stays, however large."""

    def __init__(self, room: int) -> None:
        self.frames: deque[Frame] = deque()
        self._room, self._size = room, 0

    def keep(self, frame: Frame) -> None:
        """Keep one more."""
        self.frames.append(frame)
        self._size += len(frame.raw)
        while len(self.frames) > KEPT or (self._size > self._room and len(self.frames) > 1):
            self._size -= len(self.frames.popleft().raw)

    def __len__(self) -> int:
        return len(self.frames)


class Latest(Mapping[tuple[str, str], Message]):
    """The last message of each type about each market or event, {("ticker", "KX..."): Tick}, as they stood at one moment."""

    def __init__(self, received: Received) -> None:
        self._last = dict(received.last)
        self._message = received.message

    def __getitem__(self, key: tuple[str, str]) -> Message:
        return self._message(self._last[key])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def __repr__(self) -> str:
        return f"<Latest of {len(self)} markets and types>"


class Received:
    """The newest messages of each type, bounded; read only when asked for."""

    def __init__(self, *, room: int = ROOM) -> None:
        self.room = room
        self.count = 0
        self.gaps: deque[Gap] = deque(maxlen=NOTES)
        self.errors: deque[LabError] = deque(maxlen=NOTES)
        self.last: dict[tuple[str, str], Frame] = {}
        self._kept: dict[str, Kept] = {}

    def keep(self, frame: Frame) -> None:
        """Take note of a frame."""
        self.count += 1
        kept = self._kept.get(frame.type)
        if kept is None:
            kept = self._kept[frame.type] = Kept(self.room)
        kept.keep(frame)
        self.last[frame.type, frame.ticker] = frame

    def message(self, frame: Frame) -> Message:
        """A frame as an object of its type; one that cannot be read is a plain Message that says why."""
        kind = MESSAGES.get(frame.type, Message)
        row = _row(frame)
        try:
            made: Message = objects.one(kind, row)
        except ValueError as error:
            row = {
                f"raw_{name}" if name in {"sid", "seq", "sending_ts_ms"} else name: value for name, value in row.items()
            }
            made = objects.one(Message, {**row, "problem": str(error).replace("\n", " ")[:300]})
        return made

    @property
    def latest(self) -> Latest:
        """The last message of each type about each market or event."""
        return Latest(self)

    def frame(self, kind: str, *, exact: bool = False) -> pl.DataFrame:
        """The messages of a type that are still kept, oldest first, with the fields of their class as columns, then `extra`.

        Prices and counts are Float64 dollars and contracts; `exact=True` keeps Decimal columns. UsageError for an unknown type.
        """
        if kind not in self._kept and kind not in MESSAGES:
            raise unknown("message type", kind, sorted({*MESSAGES, *self._kept}))
        record = MESSAGES.get(kind, Message)
        kept = self._kept.get(kind)
        rows = [msgspec.Raw(msgspec.json.encode(_row(one))) for one in (list(kept.frames) if kept else ())]
        made = frames.rows_to_batch(record, rows).frame
        return made if exact else frames.floats(made)

    @property
    def types(self) -> dict[str, int]:
        """How many messages of each type are kept."""
        return {kind: len(kept) for kind, kept in list(self._kept.items())}


def _row(frame: Frame) -> dict[str, Any]:
    """A frame as one flat mapping: the fields of its message, then those of its envelope."""
    try:
        found = msgspec.json.decode(frame.raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"type": frame.type, "arrived_at": frame.received_at, "raw": frame.raw.decode("utf-8", "replace")[:1000]}
    if not isinstance(found, dict):
        return {"type": frame.type, "arrived_at": frame.received_at, "raw": found}
    content = found.pop("msg", None)
    inner = content if isinstance(content, dict) else {} if content is None else {"raw": content}
    return {**inner, **found, "arrived_at": frame.received_at}
