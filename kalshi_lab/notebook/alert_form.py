"""The form of an alert: one condition or two, and options that are folded away until they are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets

from kalshi_lab import alerts, markup
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.notebook.house import choice, line, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kalshi_lab.alerts import Condition

ONE: Final = "none"
BOTH: Final = "and"
EITHER: Final = "or"
ONCE: Final = "once"
AGAIN: Final = "again and again"
MARKET: Final = "market or pattern"
HINTS: Final = {
    MARKET: "a market, or KXHIGHNY-*", "dollars": "dollars, like 0.62", "score": "from 0 to 2, like 0.4",
    "direction": "up, down, or empty for both", "held": "like 0.7, or a thesis",
}  # fmt: skip
MORE: Final = (
    "Three conditions and more, and their opposites, are written in a cell: "
    "lab.alerts.add((kl.above(a, 0.6) | kl.moves(a, 0.05)) & ~kl.settles(b))"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of condition is about, what its number is, what its time is called, and what else it takes; empty where it has none."""

    about: str
    number: str = ""
    time: str = ""
    other: str = ""


KINDS: Final = {
    "above": Kind(MARKET, "dollars"),
    "below": Kind(MARKET, "dollars"),
    "crosses": Kind(MARKET, "dollars", other="direction"),
    "moves": Kind(MARKET, "dollars", "within"),
    "spread_above": Kind(MARKET, "dollars"),
    "volume_above": Kind(MARKET, "contracts"),
    "volume_rate_above": Kind(MARKET, "contracts", "per"),
    "edge_above": Kind(MARKET, "dollars", other="held"),
    "settles": Kind(MARKET),
    "market_listed": Kind("series"),
    "arbitrage_appears": Kind("event"),
    "evidence_against": Kind("thesis"),
    "sentiment_shifts": Kind("topic", "score", "within"),
    "data_stale": Kind("dataset", time="after"),
}
LABELS: Final = {"held": "Against", "direction": "Direction"}


class ConditionFields(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """The fields of one condition: those that its kind has are shown."""

    def __init__(self, label: str) -> None:
        self.kind = choice(label, [(name.replace("_", " "), name) for name in KINDS], width="17em")
        self.about = line("About", width="24em")
        self.number, self.other, self.time = (line(word, width="17em") for word in ("Number", "Against", "Time"))
        super().__init__(
            (self.kind, self.about, self.number, self.other, self.time), layout=widgets.Layout(flex_flow="row wrap")
        )
        self.kind.observe(lambda _: self._fit(), "value")
        self._fit()

    def condition(self) -> Condition:
        """What they say. Raises UsageError, which names the field, for what cannot be."""
        kind = KINDS[self.kind.value]
        given = [_filled(self.about, kind.about)] + ([_filled(self.number, kind.number)] if kind.number else [])
        words = {kind.time: _filled(self.time, kind.time)} if kind.time else {}
        if kind.other == "held":
            held = _filled(self.other, "probability, or the name of a thesis")
            words["probability" if _is_number(held) else "thesis"] = held
        elif kind.other and self.other.value.strip():
            words[kind.other] = self.other.value.strip()
        made: Callable[..., Condition] = getattr(alerts, self.kind.value)
        return made(*given, **words)

    def clear(self) -> None:
        """Empty what was typed."""
        for box in (self.about, self.number, self.other, self.time):
            box.value = ""

    def _fit(self) -> None:
        kind = KINDS[self.kind.value]
        self.about.placeholder = HINTS.get(kind.about, kind.about)
        self.other.description = LABELS.get(kind.other, "Against")
        for box, word in ((self.number, kind.number), (self.other, kind.other), (self.time, kind.time)):
            box.placeholder = "like 1h" if box is self.time else HINTS.get(word, word)
            box.layout.display = None if word else "none"


class AlertForm(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A condition, perhaps a second one, and how it fires; nothing is kept by it."""

    def __init__(self) -> None:
        self.first, self.second = ConditionFields("Fire when"), ConditionFields(BOTH)
        self.join = choice("A second", [ONE, BOTH, EITHER], width="17em")
        self.label = line("Label", hint="for yourself", width="24em")
        self.fires = choice("Fires", [ONCE, AGAIN], width="17em")
        self.cooldown = line("Cooldown", hint="like 15m between two", width="20em")
        self.hysteresis = line("Hysteresis", hint="dollars back, like 0.01", width="20em")
        self.expires = line("Expires", hint="like 7d, or a date", width="17em")
        self.to = line("Tell", width="24em")
        note = widgets.HTML(markup.tag("small", MORE))
        options = widgets.VBox((row(self.fires, self.cooldown, self.hysteresis), row(self.expires, self.to), note))
        self.options = widgets.Accordion((options,), titles=("Options",), selected_index=None)
        super().__init__((self.first, row(self.join, self.label), self.second, self.options))
        self.fires.observe(lambda _: self._fit(), "value")
        self.join.observe(lambda _: self._fit(), "value")
        self._fit()

    def condition(self) -> Condition:
        """The condition, or the two as they are joined. Raises UsageError, which names the field, for what cannot be."""
        first = self.first.condition()
        if self.join.value == ONE:
            return first
        second = self.second.condition()
        return first & second if self.join.value == BOTH else first | second

    def wanted(self, sinks: Iterable[str]) -> dict[str, Any]:
        """The options as `lab.alerts.add` takes them; sinks: the names that may be told. Raises UsageError for another."""
        names = [part.strip() for part in self.to.value.split(",") if part.strip()]
        known = tuple(sinks)
        if names and not known:
            raise UsageError("Tell: there is no sink in this session", hint="lab.alerts.send_to(kl.ToNotebook()) first")
        told = {"to": [one_of("sink", name, known) for name in names], "expires": self.expires.value.strip() or None}
        again = self.fires.value == AGAIN
        typed = {"cooldown": self.cooldown, "hysteresis": self.hysteresis} if again else {}
        options = {name: box.value.strip() for name, box in typed.items() if box.value.strip()}
        return {"label": self.label.value.strip(), "repeat": again, **told, **options}

    def offer(self, sinks: Iterable[str]) -> None:
        """Say who can be told."""
        names = ", ".join(sinks)
        self.to.placeholder = f"all, or some of: {names}" if names else "no sink yet: lab.alerts.send_to(...)"

    def clear(self) -> None:
        """Empty what was typed; how it fires stays as it was chosen."""
        self.first.clear()
        self.second.clear()
        self.label.value, self.join.value = "", ONE

    def _fit(self) -> None:
        self.second.kind.description = self.join.value
        self.second.layout.display = "none" if self.join.value == ONE else None
        for box in (self.cooldown, self.hysteresis):
            box.layout.display = None if self.fires.value == AGAIN else "none"


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _filled(box: Any, what: str) -> str:
    if not box.value.strip():
        raise UsageError(f"{box.description}: give the {what}")
    return str(box.value).strip()
