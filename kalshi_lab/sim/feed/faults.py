"""What goes wrong on streams, on purpose."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalshi_lab.sim.feed.session import Connection, Frame

ONCE = ("drop", "silence", "error", "close")
KINDS = (*ONCE, "random_drop", "skip", "duplicate", "swap", "delay", "command_error", "refuse", "buffer")


@dataclass(slots=True)
class StreamFault:
    """One fault: skip the first `after` chances, then take `times` of them. Which options count depends on the kind."""

    kind: str
    times: int = 1
    after: int = 0
    seconds: float = 1.0
    probability: float = 0.1
    seed: int = 7
    code: int = 25
    status: int = 401
    channel: str = ""
    reset: bool = False
    size: int = 50

    def take(self) -> bool:
        """Whether it strikes now."""
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


def stream_fault(wanted: object) -> StreamFault:
    """A fault from its JSON object. Raises ValueError for a kind, option or value that is not allowed."""
    if not isinstance(wanted, dict):
        raise ValueError("a fault is an object with a kind")  # noqa: TRY004 - one kind of refusal for all bad input
    if unknown := set(wanted) - set(StreamFault.__slots__):
        raise ValueError(f"unknown options {sorted(unknown)}; allowed: {sorted(StreamFault.__slots__)}")
    fault = StreamFault(**{"kind": "", **wanted})
    if fault.kind not in KINDS:
        raise ValueError(f"unknown kind {fault.kind!r}; allowed: {', '.join(KINDS)}")
    if not (
        fault.times >= 0 and fault.after >= 0 and fault.seconds >= 0 and 0 <= fault.probability <= 1 and fault.size > 0
    ):
        raise ValueError("times, after and seconds are not negative, probability is 0 to 1, size is positive")
    if fault.kind == "close" and not (fault.code in {1000, 1001, 1008, 1011, 1012, 1013} or 3000 <= fault.code < 5000):
        raise ValueError(
            f"code {fault.code} does not close a connection; 1000, 1001, 1008, 1011 to 1013 and 3000 to 4999 do"
        )
    if fault.kind == "refuse" and not 400 <= fault.status < 600:
        raise ValueError(f"status {fault.status} refuses no handshake; 400 to 599 do")
    return fault


class StreamFaults:
    """The lasting faults that are switched on."""

    def __init__(self) -> None:
        self._faults: list[StreamFault] = []
        self._held: dict[Connection, Frame] = {}
        self._random = random.Random()

    def clear(self) -> list[tuple[Connection, Frame]]:
        """Switch all off; gives the frames that were held back."""
        self._faults, held = [], list(self._held.items())
        self._held = {}
        return held

    def add(self, fault: StreamFault) -> None:
        """Switch one on; only the latest of those that last until they are cleared counts."""
        if fault.kind in {"random_drop", "delay", "buffer"}:
            self._faults = [other for other in self._faults if other.kind != fault.kind]
        if fault.kind == "random_drop":
            self._random = random.Random(fault.seed)
        self._faults.append(fault)

    def forget(self, connection: Connection) -> None:
        """A connection ended."""
        self._held.pop(connection, None)

    def _first(self, kind: str) -> StreamFault | None:
        return next((fault for fault in self._faults if fault.kind == kind and fault.times > 0), None)

    def strikes(self, kind: str) -> StreamFault | None:
        """The fault of a kind that meets this handshake, command or frame, used up by one."""
        fault = self._first(kind)
        return fault if fault is not None and fault.take() else None

    def buffer(self, usual: int) -> int:
        """How many frames may wait on a new connection."""
        fault = self._first("buffer")
        return usual if fault is None else fault.size

    def through(self, connection: Connection, frame: Frame, *, sequenced: bool) -> list[Frame]:
        """What becomes of a data frame: nothing, itself, or it and others. Only numbered ones are lost, doubled or swapped."""
        if not self._faults and not self._held:
            return [frame]
        if (delay := self._first("delay")) is not None:
            frame.due = time.monotonic() + delay.seconds
        if not sequenced:
            return [frame]
        if (held := self._held.pop(connection, None)) is not None:
            return [frame, held]
        if self.strikes("skip"):
            return []
        if self.strikes("swap"):
            self._held[connection] = frame
            return []
        return [frame, replace(frame)] if self.strikes("duplicate") else [frame]

    def dropped(self, seconds: float) -> bool:
        """Whether a connection is to be dropped at random in so long a time."""
        fault = self._first("random_drop")
        return fault is not None and self._random.random() < 1.0 - math.pow(1.0 - fault.probability, seconds)
