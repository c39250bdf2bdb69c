"""What a stream brought so far: the last messages of each type, as objects and frames."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from kalshi_lab import frames
from kalshi_lab.errors import unknown
from kalshi_lab.models.stream import MESSAGES, Message

if TYPE_CHECKING:
    import polars as pl

    from kalshi_lab.errors import LabError
    from kalshi_lab.kalshi.connection import Frame
    from kalshi_lab.kalshi.notices import Gap

KEPT = 10_000  # messages of each type
NOTES = 1_000  # gaps and errors


class Received:
    """The newest messages of each type, bounded; read only when asked for."""

    def __init__(self) -> None:
        self.count = 0
        self.gaps: deque[Gap] = deque(maxlen=NOTES)
        self.errors: deque[LabError] = deque(maxlen=NOTES)
        self._kept: dict[str, deque[Frame]] = {}
        self._last: dict[tuple[str, str], Frame] = {}

    def keep(self, frame: Frame) -> None:
        """Take note of a frame."""
        self.count += 1
        self._kept.setdefault(frame.type, deque(maxlen=KEPT)).append(frame)
        self._last[frame.type, frame.ticker] = frame

    def message(self, frame: Frame) -> Message:
        """A frame as an object of its type; one that cannot be read is a plain Message that says why."""
        kind = MESSAGES.get(frame.type, Message)
        row = _row(frame)
        try:
            made: Message = frames.one(kind, row)
        except ValueError as error:
            row = {
                f"raw_{name}" if name in {"sid", "seq", "sending_ts_ms"} else name: value for name, value in row.items()
            }
            made = frames.one(Message, {**row, "problem": str(error).replace("\n", " ")[:300]})
        return made

    @property
    def latest(self) -> dict[tuple[str, str], Message]:
        """The last message of each type about each market: {("ticker", "KX..."): Tick}."""
        return {key: self.message(frame) for key, frame in list(self._last.items())}

    def frame(self, kind: str, *, exact: bool = False) -> pl.DataFrame:
        """The messages of a type that are still kept, oldest first, with the fields of their class as columns, then `extra`.

        Prices and counts are Float64 dollars and contracts; `exact=True` keeps Decimal columns. UsageError for an unknown type.
        """
        if kind not in self._kept and kind not in MESSAGES:
            raise unknown("message type", kind, sorted({*MESSAGES, *self._kept}))
        record = MESSAGES.get(kind, Message)
        rows = [msgspec.Raw(msgspec.json.encode(_row(one))) for one in list(self._kept.get(kind, ()))]
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
