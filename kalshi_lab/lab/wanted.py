"""What a search asks for, checked."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.store.search import Wanted

Amount = Decimal | float | str


def wanted(
    query: str,
    *,
    status: str | None,
    category: str | None,
    event: str | None,
    series: str | None,
    min_volume: Amount | None,
    max_spread: Amount | None,
    limit: int | None,
) -> Wanted:
    """The question, or a UsageError that says what is wrong with it."""
    if not isinstance(query, str) or not query.strip():
        raise UsageError(f"the query {query!r} is empty", hint='Give some words: lab.search("fed cut")')
    if category is not None and (not isinstance(category, str) or not category.strip()):
        raise UsageError(f"category {category!r} is empty", hint="Give a part of its name, or None for all")
    return Wanted(
        query, statuses(status), category, params.filtered(event, "event"), params.filtered(series, "series"),
        _amount(min_volume, "min_volume"), _amount(max_spread, "max_spread"), params.limit(limit),
    )  # fmt: skip


def statuses(value: str | None) -> list[str] | None:
    """The words under which a market of that status may stand in the store: the filter's own, and those of the answers.

    An answer's word that shares its filter with others ("determined", "disputed") means itself alone.
    """
    asked = params.status(value)
    if value is None or asked is None:
        return None
    answered = [word for word, found in params.ANSWERED.items() if found == asked]
    return [value] if value in answered and len(answered) > 1 else [asked, *answered]


def _amount(value: Amount | None, what: str) -> Decimal | None:
    if value is None:
        return None
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        made = Decimal("nan")
    if isinstance(value, bool) or not made.is_finite() or made < 0:
        raise UsageError(f"{what} {value!r} is no amount", hint="Give a number from 0, or None for no limit")
    return made
