"""Conditions made of conditions, by the logic of three values: what is unknown stays unknown where it decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from kalshi_lab.alerts.conditions import Condition, from_row
from kalshi_lab.alerts.seen import Fact, Judged, Past, Seen
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Several(Condition):
    """A condition about several others, which must not be about two patterns."""

    conditions: tuple[Condition, ...]
    word: ClassVar[str]

    def __post_init__(self) -> None:
        for one in self.conditions:
            if not isinstance(one, Condition):
                raise UsageError(
                    f"{str(one)[:80]!r} is no condition",
                    hint='Combine conditions: kl.above("A", 0.5) & ~kl.below("B", 0.2)',
                )
        if len(found := {one.pattern for one in self.conditions if one.pattern}) > 1:
            raise UsageError(
                f"one alert is about one pattern, not {', '.join(sorted(found))}", hint="Add an alert for each"
            )

    @property
    def tickers(self) -> tuple[str, ...]:
        """Those of all of them, each once."""
        return tuple(dict.fromkeys(ticker for one in self.conditions for ticker in one.tickers))

    @property
    def pattern(self) -> str | None:
        """The one pattern, if there is one."""
        return next((one.pattern for one in self.conditions if one.pattern), None)

    @property
    def facts(self) -> frozenset[Fact]:
        """Those of all of them."""
        return frozenset(fact for one in self.conditions for fact in one.facts)

    @property
    def by_volume(self) -> bool:
        """Whether it decides one of them."""
        return any(one.by_volume for one in self.conditions)

    @property
    def lasting(self) -> bool:  # type: ignore[override]  # of a compound it depends on the parts
        """Whether one of them is."""
        return any(one.lasting for one in self.conditions)

    def bound(self, ticker: str) -> Several:
        """The same about one market of the pattern."""
        return replace(self, conditions=tuple(one.bound(ticker) for one in self.conditions))

    def parts(self) -> dict[str, Any]:
        """The rows of the conditions."""
        return {"conditions": [{"kind": one.kind, **one.parts()} for one in self.conditions]}

    def _all(self, seen: Seen, past: Past) -> tuple[list[bool | None], Past, str]:
        """Each is judged, so that each remembers: an answer that is certain already ends nothing."""
        judged = [one.judge(seen, (past or {}).get(str(n))) for n, one in enumerate(self.conditions)]
        remembered = {str(n): one.past for n, one in enumerate(judged) if one.past is not None}
        return [one.holds for one in judged], remembered or None, "; ".join(one.said for one in judged if one.said)

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({one})" if isinstance(one, Several) else str(one) for one in self.conditions)


@dataclass(frozen=True, slots=True)
class AllOf(Several):
    """All of them hold."""

    kind: ClassVar[str] = "all"
    word: ClassVar[str] = "and"

    def judge(self, seen: Seen, past: Past = None) -> Judged:
        """False where one is, unknown where none is but one is unknown."""
        found, remembered, said = self._all(seen, past)
        return Judged(False if False in found else None if None in found else True, remembered, said)


@dataclass(frozen=True, slots=True)
class AnyOf(Several):
    """At least one of them holds."""

    kind: ClassVar[str] = "any"
    word: ClassVar[str] = "or"

    def judge(self, seen: Seen, past: Past = None) -> Judged:
        """True where one is, unknown where none is but one is unknown."""
        found, remembered, said = self._all(seen, past)
        return Judged(True if True in found else None if None in found else False, remembered, said)


@dataclass(frozen=True, slots=True)
class Not(Several):
    """It does not hold."""

    kind: ClassVar[str] = "not"
    word: ClassVar[str] = "not"

    def __init__(self, condition: Condition) -> None:
        object.__setattr__(self, "conditions", (condition,))
        self.__post_init__()

    def bound(self, ticker: str) -> Not:
        """The same about one market of the pattern."""
        return Not(self.conditions[0].bound(ticker))

    def judge(self, seen: Seen, past: Past = None) -> Judged:
        """What is unknown stays so; a margin eases the other way round."""
        found, remembered, said = self._all(replace(seen, margin=-seen.margin), past)
        return Judged(None if found[0] is None else not found[0], remembered, said)

    def __str__(self) -> str:
        return f"not ({self.conditions[0]})"


def all_of(conditions: Sequence[dict[str, Any]]) -> Condition:
    """All of the conditions of these rows."""
    return AllOf(_read(conditions))


def any_of(conditions: Sequence[dict[str, Any]]) -> Condition:
    """Any of the conditions of these rows."""
    return AnyOf(_read(conditions))


def not_of(conditions: Sequence[dict[str, Any]]) -> Condition:
    """The opposite of the condition of the one row."""
    if len(conditions) != 1:
        raise UsageError("the opposite is of one condition")
    return Not(_read(conditions)[0])


def _read(rows: Sequence[dict[str, Any]]) -> tuple[Condition, ...]:
    return tuple(from_row(row) for row in rows)
