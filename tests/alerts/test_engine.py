"""The engine alone: firing, waiting, arming again, ending, each market of a pattern by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import kalshi_lab as kl
from kalshi_lab.alerts.engine import Alert, Engine
from kalshi_lab.alerts.seen import Quote

T = "KXA-1"
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def engine(condition: Any, **options: Any) -> Engine:
    made = Engine()
    made.load([Alert("a1", condition, **options)], {})
    return made


def feed(
    made: Engine, *mids: tuple[str, float], ticker: str = T, status: str | None = "active"
) -> list[tuple[str, float]]:
    """The event ids and seconds of what happens while a mid moves."""
    found = []
    for mid, after in mids:
        made.see(
            Quote(ticker, Decimal(mid) - Decimal("0.01"), Decimal(mid) + Decimal("0.01"), status),
            NOW + timedelta(seconds=after),
        )
        events = [event for change in made.changes() for event in change.events]
        found += [(event.event_id, (event.time - NOW).total_seconds()) for event in events]
    return found


def test_once_is_once() -> None:
    """AL-2: without repeat it fires once and is over."""
    assert feed(engine(kl.above(T, 0.6)), ("0.5", 0), ("0.7", 1), ("0.5", 2), ("0.7", 3)) == [("a1:1", 1)]


def test_repeating_needs_an_end_in_between() -> None:
    """It fires again only after the condition has ceased to hold, however long it held; a broken quote is no end."""
    made = engine(kl.above(T, 0.6), repeat=True)
    assert feed(made, ("0.7", 0), ("0.8", 1), ("0.7", 2)) == [("a1:1", 0)]
    made.see(Quote(T, Decimal(0), Decimal(1), "active"), NOW)
    assert feed(made, ("0.7", 3), ("0.5", 4), ("0.7", 5)) == [("a1:2", 5)]


def test_hysteresis_keeps_a_flutter_quiet() -> None:
    """With a hysteresis of 0.05 it is armed again below 0.55 only."""
    flutter = [("0.61", 0), ("0.59", 1), ("0.61", 2), ("0.56", 3), ("0.61", 4), ("0.55", 5), ("0.61", 6)]
    assert feed(engine(kl.above(T, 0.6), repeat=True, hysteresis=Decimal("0.05")), *flutter) == [
        ("a1:1", 0),
        ("a1:2", 6),
    ]
    assert len(feed(engine(kl.above(T, 0.6), repeat=True), *flutter)) == 4


def test_a_cooldown_delays_and_forgets_nothing() -> None:
    """Armed again within the cooldown, it fires at the first look after it, if it holds then."""
    made = engine(kl.above(T, 0.6), repeat=True, cooldown=timedelta(seconds=60))
    assert feed(made, ("0.7", 0), ("0.5", 10), ("0.7", 20), ("0.7", 59), ("0.7", 60)) == [("a1:1", 0), ("a1:2", 60)]


def test_it_expires() -> None:
    """AL-1: at its time it ends, and does not fire any more."""
    made = engine(kl.above(T, 0.6), expires_at=NOW + timedelta(seconds=10))
    assert feed(made, ("0.5", 0), ("0.7", 10), ("0.7", 11)) == [("a1:ended", 10)]


def test_each_market_of_a_pattern_by_itself() -> None:
    """AL-1: one alert, a state for each market; one that is over ends alone, without a word."""
    made = engine(kl.above("KXA-*", 0.6))
    assert feed(made, ("0.7", 0), ticker="KXA-1") == [("a1:KXA-1:1", 0)]
    assert feed(made, ("0.7", 1), ticker="KXB-1") == []
    assert feed(made, ("0.5", 2), ("0.7", 3), ("0.8", 4), ticker="KXA-2") == [("a1:KXA-2:1", 3)]
    assert feed(made, ("0.5", 5), ticker="KXA-3") == []
    assert made.watched() == {"KXA-3"}
    assert feed(made, ("0.7", 6), ticker="KXA-3", status="closed") == []
    assert made.watched() == frozenset()


def test_what_could_not_be_kept_is_handed_out_again() -> None:
    """A failed write loses no event: it comes again, before what happened since."""
    made = engine(kl.above(T, 0.6), repeat=True)
    made.see(Quote(T, Decimal("0.69"), Decimal("0.71"), "active"), NOW)
    first = made.changes()
    made.see(Quote(T, Decimal("0.49"), Decimal("0.51"), "active"), NOW)
    made.see(Quote(T, Decimal("0.69"), Decimal("0.71"), "active"), NOW)
    made.give_back(first)
    (change,) = made.changes()
    assert [event.event_id for event in change.events] == ["a1:1", "a1:2"]
    assert (change.before.fired, change.after.fired) == (0, 2)


def test_one_faulty_condition_silences_no_other() -> None:
    """An error inside a condition is told, and the others are judged."""

    class Faulty(type(kl.above(T, 0.5))):  # type: ignore[misc]  # whatever the kind is called
        def judge(self, *_: Any) -> Any:
            raise ZeroDivisionError("never mind")

    made = Engine()
    made.load([Alert("a1", Faulty(T, Decimal("0.5"))), Alert("a2", kl.above(T, 0.6))], {})
    assert feed(made, ("0.7", 0)) == [("a2:1", 0)]
    assert isinstance(made.problems["a1"], ZeroDivisionError)
