"""How far a long work is: a bar where somebody is looking, and a line in the log every now and then in any case."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from kalshi_lab.clock import Clock

log = logging.getLogger(__name__)
EVERY = 10.0  # seconds between two lines


class Progress:
    """Rows, rate and time left, with an estimated `total`; `shown=None` draws the bar in a notebook or terminal only."""

    def __init__(
        self, title: str, *, unit: str = "rows", total: int | None = None, shown: bool | None = None, clock: Clock | None = None
    ) -> None:  # fmt: skip
        self._title, self._unit, self._total, self._clock = title, unit, total, clock
        self._shown = _watched() if shown is None else shown
        self._bar: Any = None
        self._done = 0

    def __enter__(self) -> Self:
        self._began = self._told = 0.0 if self._clock is None else self._clock.monotonic()
        if self._shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(desc=self._title, unit=f" {self._unit}", total=self._total or None, unit_scale=True)
        return self

    def advance(self, steps: int) -> None:
        """Some more are done."""
        self._done += steps
        if self._bar is not None:
            if self._bar.total is not None and self._done > self._bar.total:
                self._bar.total = None  # the estimate was too small
            self._bar.update(steps)
        if self._clock is not None and (now := self._clock.monotonic()) - self._told >= EVERY:
            self._told = now
            log.info("%s: %s", self._title, self._said(now - self._began))

    def _said(self, seconds: float) -> str:
        rate = self._done / seconds
        if self._total is None or self._done >= self._total or not rate:
            return f"{self._done:,} {self._unit}, {rate:,.0f} a second"
        left = (self._total - self._done) / rate
        return f"{self._done:,} of about {self._total:,} {self._unit}, {rate:,.0f} a second, about {left:,.0f} s left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _watched() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel") or sys.stderr.isatty()
