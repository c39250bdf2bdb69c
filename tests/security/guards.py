"""A guard of a security goal: what shows that the goal is met, and how the guard is taken away to see that it is what meets it."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Guard:
    """`check` raises where the goal is not met; `remove` patches the guard out of the running library."""

    goal: str
    name: str
    check: Callable[[Path], None]
    remove: Callable[[pytest.MonkeyPatch], None]

    def __str__(self) -> str:
        return f"{self.goal} {self.name}"


def rewritten(holder: Any, name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A removal that takes a function's own source without the guard: `old` in it becomes `new`."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        found = inspect.getattr_static(holder, name)
        function = inspect.unwrap(getattr(found, "fget", found))
        source = textwrap.dedent(inspect.getsource(function))
        assert old in source, f"{name} is written differently now: the removal must follow"
        scope: dict[str, Any] = {}
        code = compile("from __future__ import annotations\n" + source.replace(old, new), f"{name} without", "exec")
        exec(code, function.__globals__ | {"__name__": function.__module__}, scope)  # noqa: S102 - the library's own source
        patch.setattr(holder, name, scope[function.__name__])

    return remove


def attribute(holder: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """A removal that sets an attribute."""
    return lambda patch: patch.setattr(holder, name, value)


def together(*removals: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """Several layers of one guard, removed at once."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        for removal in removals:
            removal(patch)

    return remove


def refused(kind: type[BaseException], work: Callable[..., Any], *given: Any, match: str | None = None) -> None:
    """The call raises this and nothing else."""
    with pytest.raises(kind, match=match):
        work(*given)
