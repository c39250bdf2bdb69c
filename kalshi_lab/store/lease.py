"""The right to write below a name of a bucket, held by one export at a time.

It is an object that is only made where there is none, renewed while it is held, and taken over from a holder that did not renew it
for a while, by the service's clock. Each step says over which state of it it goes, so of two that try the same one wins, and whoever
was away for too long finds out before it writes.
"""

from __future__ import annotations

import os
import platform
import secrets
import sys
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from kalshi_lab.errors import LabError, StoreError

if TYPE_CHECKING:
    from typing import Self

    from kalshi_lab.store.bucket import Bucket, State

LASTS, RENEWED = 60.0, 15.0  # seconds: without a sign of life; between two signs
FRESH = 25.0  # seconds after a sign of life within which a write may still begin
NAME = ".export.lock"


class Holder(msgspec.Struct, frozen=True):
    """Who holds it; `beat` counts the signs of life, so that no two states are alike."""

    token: str
    host: str
    pid: int
    beat: int = 0


class Lease:
    """Enter it to hold it. Raises StoreError where another export has it."""

    def __init__(self, bucket: Bucket, below: str) -> None:
        self._bucket, self._below, self._name = bucket, below, f"{below}/{NAME}"
        self._me = Holder(secrets.token_hex(8), platform.node(), os.getpid())
        self._mark, self._renewed, self._lost = "", 0.0, False
        self._turn, self._over = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        if not self._offered(None):
            held = self._bucket.state(self._name)
            holder = self._holder()
            if held is not None and holder is not None and holder.token != self._me.token:
                self._take_over(held, holder)
            elif not self._offered(None):
                raise self._busy(holder)
        self._bucket.conditional(self._name, msgspec.json.encode(self._me))
        threading.Thread(target=self._beat, name="kalshi-lab-lease", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._turn:
            if not self._lost and time.time() - self._renewed < LASTS:  # else it may be another's by now
                self._bucket.delete(self._name)

    def hold(self) -> None:
        """Make sure that it is held still. Raises StoreError where another export took it over."""
        with self._turn:
            if not 0 <= time.time() - self._renewed < FRESH:  # the wall's clock: a machine that slept was away
                self._renew()
            if self._lost:
                raise StoreError(
                    f"another export took over {self._bucket}/{self._below}, since this one was not heard of for {LASTS:.0f} s",
                    hint="Export again; one at a time",
                )

    def _beat(self) -> None:
        while not self._over.wait(RENEWED):
            with self._turn:
                if self._over.is_set() or self._lost:
                    return
                try:
                    self._renew()
                except LabError:  # the next write will say so
                    continue

    def _renew(self) -> None:
        self._me = msgspec.structs.replace(self._me, beat=self._me.beat + 1)
        self._lost = self._lost or not self._offered(self._mark)

    def _offered(self, over: str | None) -> bool:
        """Write it over a state; a request that was sent twice finds itself there."""
        began = time.time()
        mark = self._bucket.offer(self._name, msgspec.json.encode(self._me), over)
        if mark is None and (holder := self._holder()) is not None and holder.token == self._me.token:
            state = self._bucket.state(self._name)
            mark = state and self._bucket.offer(self._name, msgspec.json.encode(self._me), state.version.mark)
        if mark is None:
            return False
        self._mark, self._renewed = mark, began
        return True

    def _holder(self) -> Holder | None:
        text = self._bucket.read(self._name)
        try:
            return None if text is None else msgspec.json.decode(text, type=Holder)
        except msgspec.DecodeError:
            return Holder("", "", 0)

    def _take_over(self, held: State, holder: Holder) -> None:
        """Take it from one who is gone. Raises StoreError where that one is not, or another was quicker."""
        gone = self._dead(holder) or self._age(held) >= LASTS
        if not gone or not self._offered(held.version.mark):
            raise self._busy(holder)

    def _dead(self, holder: Holder) -> bool:
        """Whether the holder was a process of this machine that has ended."""
        if holder.host != self._me.host or sys.platform == "win32" or holder.pid <= 0:
            return False
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _age(self, held: State) -> float:
        """How long ago it was renewed, in seconds, by the service's clock, which something written now tells."""
        probe = f"{self._name}.{self._me.token}.part"
        self._bucket.put(probe, b"")
        try:
            now = self._bucket.state(probe)
        finally:
            self._bucket.delete(probe)
        return 0.0 if now is None else (now.modified - held.modified).total_seconds()

    def _busy(self, holder: Holder | None) -> StoreError:
        who = f" (PID {holder.pid} on {holder.host})" if holder is not None and holder.host else ""
        return StoreError(
            f"another export is writing to {self._bucket}/{self._below}{who}",
            hint=f"Try again when it is done; one that was killed stands in the way for {LASTS:.0f} s",
        )
