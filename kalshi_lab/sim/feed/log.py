"""What the streams generated, so that a test can tell what a client should have."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

MOST = 1_000_000


@dataclass(slots=True)
class Entry:
    """One data frame; `sent` once it was handed to the socket."""

    connection: int
    sid: int
    seq: int | None
    kind: str
    market: str
    sent: bool = False


class StreamLog:
    """Counts of everything, and while `keep` is on each data frame, the latest million of them."""

    def __init__(self) -> None:
        self.keep = False
        self.counts: Counter[str] = Counter()
        self._entries: deque[Entry] = deque(maxlen=MOST)
        self._forgotten = 0

    def frame(self, connection: int, sid: int, seq: int | None, kind: str, market: str) -> Entry | None:
        """Note a data frame."""
        self.counts["generated"] += 1
        if not self.keep:
            return None
        if len(self._entries) == MOST:
            self._forgotten += 1
        entry = Entry(connection, sid, seq, kind, market)
        self._entries.append(entry)
        return entry

    def start(self, *, keep: bool) -> None:
        """Forget everything, and keep frames from here on or not."""
        self.keep, self._forgotten = keep, 0
        self.counts.clear()
        self._entries.clear()

    def page(self, after: int, limit: int) -> dict[str, Any]:
        """Counts, and the frames from place `after` on: connection, sid, seq, type, market, whether sent. `next` is null at the end."""
        first = max(0, after - self._forgotten)
        chosen = list(islice(self._entries, first, first + limit))
        end = self._forgotten + first + len(chosen)
        return {
            "counts": dict(self.counts),
            "forgotten": self._forgotten,
            "next": end if end < self._forgotten + len(self._entries) else None,
            "frames": [
                {
                    "connection": entry.connection, "sid": entry.sid, "seq": entry.seq, "type": entry.kind, "market": entry.market,
                    "sent": entry.sent,
                }
                for entry in chosen
            ],
        }  # fmt: skip
