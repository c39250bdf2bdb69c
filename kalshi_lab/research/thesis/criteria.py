"""What would change your mind: criteria that a machine checks exactly, and words for which evidence gives a hint at most.

Three forms are checked: `price TICKER < 0.2` (the middle of a real quote, since the criterion was written down), `series TICKER > 90`
(the value by which the series' last market was settled), and `after 2026-12-01`. All else is text: a passage of the evidence that has
most of its words in one sentence is a hint to read it, never a verdict.
"""

from __future__ import annotations

import json
import operator
import re
import unicodedata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.clock import moment
from kalshi_lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kalshi_lab.research.thesis.evidence import Evidence

MET, NOT_MET, HINT, UNKNOWN = "met", "not met", "hint", "unknown"
PRICE, SERIES, DATE, TEXT = "price", "series", "date", "text"
COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
MOST, LONGEST = 20, 500
SHARE = 2 / 3  # of the words of a criterion that one sentence must have
LEAST = 2  # and how many at least
_FORMAL = re.compile(r"^(price|series)\s+([A-Za-z0-9][A-Za-z0-9._-]*)\s*(<=|>=|<|>)\s*(\S+)$")
_LOOKS_FORMAL = re.compile(r"^(price|series)\b.*[<>=]")
_AFTER = re.compile(r"^after\s+(\d\S*)$")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*%?", re.UNICODE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_STOP: Final = frozenset(
    """
    a about above after again against all also am an and any are as at be became because become been before being below
    between both but by can could did do does doing down during each even ever few for from further get gets had has have
    having he her here hers him his how i if in into is it its itself just may me might more most must my of off on once
    only or other our out over own per same shall she should so some such than that the their them then there these they
    this those through to too under until up upon very was we were what when where which while who whom why will with
    within would you your yes market markets price happen happens say says said one two new now
    """.split()  # noqa: SIM905 - a list of words is read as text
)
_NEGATIONS: Final = frozenset(("no", "not", "never", "without", "nor", "neither"))


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion: its words, its kind, and for a formal one what is compared with what."""

    words: str
    kind: str
    subject: str = ""
    comparison: str = ""
    value: Decimal | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """How a criterion stood when it was looked at: "met", "not met", "unknown", or for text "hint" (read the passage yourself)."""

    criterion: str
    kind: str
    verdict: str
    detail: str
    sha256: str | None = None


def criterion(words: object) -> Criterion:
    """A criterion from its words. Raises UsageError for one that begins like a formal one and is none."""
    if not isinstance(words, str) or not words.strip() or len(words) > LONGEST:
        raise UsageError(f"a criterion is text of 1 to {LONGEST} characters", hint='invalidation=["price KXA-1 < 0.2"]')
    text = " ".join(words.split())
    formal = _FORMAL.match(text)
    if formal:
        return _formal(text, formal)
    if _LOOKS_FORMAL.match(text):
        raise UsageError(
            f"{text!r} cannot be checked", hint="Write it like 'price KXA-1 < 0.2' or 'series KXHIGHNY > 90'"
        )
    after = _AFTER.match(text)
    if after:
        time = moment(
            after[1], now=datetime.min.replace(tzinfo=UTC), what="time"
        )  # no span can match: a date begins with a digit and has no unit
        return Criterion(text, DATE, time=time)
    return Criterion(text, TEXT)


def _formal(text: str, found: re.Match[str]) -> Criterion:
    try:
        value = Decimal(found[4])
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise UsageError(f"{found[4]!r} in {text!r} is no number")
    if found[1] == PRICE and not 0 <= value <= 1:
        raise UsageError(f"a price is dollars from 0 to 1, and {text!r} compares with {value}")
    return Criterion(text, found[1], found[2].upper(), found[3], value)


def criteria(words: Iterable[str]) -> tuple[Criterion, ...]:
    """Several, each once. Raises UsageError for more than 20."""
    if isinstance(words, str):
        words = [words]
    found = tuple({one.words: one for one in map(criterion, words)}.values())
    if len(found) > MOST:
        raise UsageError(f"{len(found)} criteria are too many to mean it", hint=f"Keep the {MOST} that count")
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """What criteria are held against: prices (columns ticker, time, bid, ask), the last settled value of series, evidence, the time."""

    path: pl.DataFrame
    values: Mapping[str, tuple[str, str]]
    evidence: Sequence[Evidence]
    since: datetime
    now: datetime


def checked(wanted: Iterable[Criterion], known: Known) -> tuple[Check, ...]:
    """How each criterion stands."""
    ways = {PRICE: _price, SERIES: _series, DATE: _date, TEXT: _text}
    return tuple(ways[one.kind](one, known) for one in wanted)


def _price(wanted: Criterion, known: Known) -> Check:
    real = known.path.filter(pl.col("ticker") == wanted.subject, pl.col("time") >= known.since).drop_nulls(
        ["bid", "ask"]
    )
    if real.is_empty():
        return _said(wanted, UNKNOWN, f"no real quote of {wanted.subject} since it was written down")
    compare, value = COMPARISONS[wanted.comparison], wanted.value
    for time, bid, ask in real.sort("time").select("time", "bid", "ask").iter_rows():
        middle = (Decimal(repr(bid)) + Decimal(repr(ask))) / 2
        if compare(middle, value):
            return _said(wanted, MET, f"{middle.normalize():f} on {time:%Y-%m-%d %H:%M} UTC")
    return _said(wanted, NOT_MET, f"last {middle.normalize():f}, of {real.height} real quotes")


def _series(wanted: Criterion, known: Known) -> Check:
    ticker, told = known.values.get(wanted.subject, ("", ""))
    try:
        value = Decimal(told.replace(",", "").strip().removesuffix("%").removeprefix("$"))
    except InvalidOperation:
        said = (
            f"{ticker} was settled by {told!r}, which is no number"
            if ticker
            else "the store has no settled market of it"
        )
        return _said(wanted, UNKNOWN, said)
    met = COMPARISONS[wanted.comparison](value, wanted.value)
    return _said(wanted, MET if met else NOT_MET, f"{value:f}, by which {ticker} was settled")


def _date(wanted: Criterion, known: Known) -> Check:
    assert wanted.time is not None  # noqa: S101 - a date has one
    passed = known.now >= wanted.time
    return _said(wanted, MET if passed else NOT_MET, f"it is {known.now:%Y-%m-%d %H:%M} UTC")


def _text(wanted: Criterion, known: Known) -> Check:
    words = content(wanted.words)
    if len(words) < LEAST:
        return _said(wanted, UNKNOWN, "it has too few words to be looked for")
    found = max((_best(words, one) for one in known.evidence), default=None, key=lambda best: best[0])
    if found is None:
        return _said(wanted, UNKNOWN, "there is no evidence to look in")
    share, sentence, one = found
    if share < SHARE or round(share * len(words)) < LEAST:
        return _said(wanted, NOT_MET, f"no passage has most of its words: {len(known.evidence)} looked at")
    where = one.domain or one.title or "evidence"
    turned = "one of the two is negated, " if negated(wanted.words) != negated(sentence) else ""
    detail = f"{round(share * len(words))} of {len(words)} words in one sentence at {where}, {turned}only a hint: {sentence[:300]!r}"
    return Check(wanted.words, wanted.kind, HINT, detail, one.sha256)


def _best(words: frozenset[str], one: Evidence) -> tuple[float, str, Evidence]:
    sentences = [part for text in (one.title, one.passage) if text for part in _SENTENCE.split(text)]
    shares = [(len(words & content(sentence)) / len(words), sentence) for sentence in sentences]
    share, sentence = max(shares, default=(0.0, ""))
    return share, sentence, one


def content(text: str) -> frozenset[str]:
    """The words that carry the meaning, in their stems: whole words, no stop-words, numbers as they are."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'").replace("'s", "")
    return frozenset(
        _stem(word)
        for word in _WORD.findall(folded)
        if word not in _STOP | _NEGATIONS and (len(word) > 1 or word.isdigit())
    )


def negated(text: str) -> bool:
    """Whether a sentence has a word that turns its meaning."""
    words = text.casefold().replace("\u2019", "'").replace("n't", " not").split()
    return not _NEGATIONS.isdisjoint(word.strip(".,;:!?()'\"") for word in words)


def _stem(word: str) -> str:
    """A word without the ending of its plural or its tense, where enough of it is left."""
    if any(letter.isdigit() for letter in word):
        return word
    for ending, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):  # noqa: PLR2004 - a stem's least
            word = word.removesuffix(ending) + instead
            break
    return word.removesuffix("e") if len(word) > 3 else word  # noqa: PLR2004 - as above


def _said(wanted: Criterion, verdict: str, detail: str) -> Check:
    return Check(wanted.words, wanted.kind, verdict, detail)


def told(checks: Iterable[Check]) -> str | None:
    """Checks as JSON; None for none."""
    rows = [asdict(one) for one in checks]
    return json.dumps(rows, ensure_ascii=False) if rows else None


def read(text: str | None) -> tuple[Check, ...]:
    """The same back."""
    try:
        return tuple(Check(**row) for row in json.loads(text)) if text else ()
    except (ValueError, TypeError):
        raise LabError("the store's checks of a thesis cannot be read", hint="lab.store.verify() tells more") from None
