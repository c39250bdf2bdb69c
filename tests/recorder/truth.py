"""What the simulated exchange says that it sent, beside what the tables hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import kalshi_lab as kl
    from kalshi_lab.sim import Exchange

TABLES = {
    "orderbook_snapshot": "book_changes", "orderbook_delta": "book_changes", "ticker": "ticks", "trade": "trades",
    "market_lifecycle_v2": "lifecycle", "event_lifecycle": "lifecycle", "event_fee_update": "lifecycle",
}  # fmt: skip
BOOK = {"orderbook_snapshot", "orderbook_delta"}


def sent(frames: list[dict[str, Any]]) -> Counter[str]:
    """How many rows of each table were sent."""
    return Counter(TABLES[frame["type"]] for frame in frames if frame["sent"])


def arrived(exchange: Exchange, recording: kl.Recording, *, lost: int = 0) -> bool:
    """Whether all that the exchange handed over is written, but for what faults took."""
    counts = exchange.stream_log()["counts"]
    return sum(recording.stats.frames.values()) + lost >= counts.get("generated", 0)


def stored(lab: kl.Lab) -> Counter[str]:
    """How many rows each table holds."""
    counts = {name: lab.sql(f"SELECT count(*) FROM {name}").item() for name in sorted(set(TABLES.values()))}
    return Counter({name: count for name, count in counts.items() if count})


def book_numbers(lab: kl.Lab) -> dict[int, list[int]]:
    """The numbers of the book frames that are kept, in the order of arrival, by connection."""
    rows = lab.sql("SELECT connection, seq FROM book_changes ORDER BY recording, frame").rows()
    found: dict[int, list[int]] = defaultdict(list)
    for connection, seq in rows:
        found[connection].append(seq)
    return found


def numbered(frames: list[dict[str, Any]], *, kinds: set[str] = BOOK) -> dict[int, list[tuple[int, bool]]]:
    """The numbers of the frames that were made, and whether each was sent, by connection."""
    found: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for frame in frames:
        if frame["type"] in kinds:
            found[frame["connection"]].append((frame["seq"], frame["sent"]))
    return found
