"""Stretches of time: what is missing of those that are wanted, cut into windows of bounded size; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Stretch = tuple[datetime, datetime]  # half-open
OVERLAP = timedelta(
    hours=1
)  # the end of a stretch may still have been filling when it was read, so that much is read twice
OPENED = datetime(2021, 6, 1, tzinfo=UTC)  # the exchange is younger than that
SHORTEST, LONGEST = timedelta(minutes=10), timedelta(days=30)
_NAME = re.compile(r"^(\S+) (\S+Z)\.\.(\S+Z)$")
_FORM = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one subject's time that one walk reads, begun at `asked_at`; `grows`: where the stretch begins that it makes longer."""

    subject: str
    since: datetime
    until: datetime
    grows: datetime
    asked_at: datetime

    @property
    def settled(self) -> Stretch:
        """The part of it that had settled when it was begun."""
        return self.since, min(self.until, self.asked_at - OVERLAP)

    @property
    def name(self) -> str:
        """The walk's name in the ledger; `named` reads it again."""
        return f"{self.subject or '*'} {self.since:{_FORM}}..{self.until:{_FORM}}"


def named(name: str, asked_at: datetime) -> Window | None:
    """The window of a walk's name, None where it is another kind of walk."""
    match = _NAME.match(name)
    if match is None:
        return None
    since, until = (datetime.strptime(text, _FORM).replace(tzinfo=UTC) for text in match.groups()[1:])
    return Window("" if match[1] == "*" else match[1], since, until, since, asked_at)


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time as few stretches, in order."""
    found: list[Stretch] = []
    for since, until in sorted(one for one in stretches if one[0] < one[1]):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def without(wanted: Iterable[Stretch], held: Iterable[Stretch]) -> list[Stretch]:
    """What of the wanted time is not held, in order."""
    left, cuts = merged(wanted), merged(held)
    for start, end in cuts:
        left = [
            piece
            for since, until in left
            for piece in ((since, min(until, start)), (max(since, end), until))
            if piece[0] < piece[1]
        ]
    return left


def length(stretches: Iterable[Stretch]) -> timedelta:
    """How much time that is."""
    return sum((until - since for since, until in stretches), timedelta())


def cut(
    subject: str, missing: Sequence[Stretch], held: Sequence[Stretch], size: timedelta, now: datetime
) -> list[Window]:
    """Windows over what is missing, newest first; the oldest of a stretch makes the held one before it longer."""
    begins = {until: since for since, until in merged(held)}
    step = min(max(size, SHORTEST), LONGEST)
    found = []
    for since, until in missing:
        edges = [since]
        while until - edges[-1] > step * 1.5:
            edges.append(whole(edges[-1] + step))
        pieces = zip(edges, [*edges[1:], until], strict=True)
        found += [Window(subject, first, last, begins.get(first, first), now) for first, last in pieces]
    return sorted(found, key=lambda one: one.until, reverse=True)


def whole(value: datetime) -> datetime:
    """Whole seconds, as the exchange takes them, rounded down."""
    return value.replace(microsecond=0)
