"""A progress bar where somebody is looking, and nothing where nobody is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Progress:
    """Rows, rate and time left; `shown=None` shows it in a notebook or a terminal only."""

    def __init__(self, title: str, *, unit: str = "rows", total: int | None = None, shown: bool | None = None) -> None:
        self._title, self._unit, self._total = title, unit, total
        self._shown = _watched() if shown is None else shown
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(desc=self._title, unit=f" {self._unit}", total=self._total, unit_scale=True)
        return self

    def advance(self, steps: int) -> None:
        """Some more are done."""
        if self._bar is not None:
            self._bar.update(steps)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _watched() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel") or sys.stderr.isatty()
