"""The thesis editor: a thesis written down, changed and given evidence, with what it is worth against the market's price."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets
import polars as pl

from kalshi_lab import markup
from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.notebook.house import Panel, button, choice, line, row, told
from kalshi_lab.notebook.table import Column, Table
from kalshi_lab.research import thesis as research
from kalshi_lab.research.thesis import criteria, scoring, versions, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from kalshi_lab.research.thesis import Thesis

EVERY: Final = 5.0  # seconds between two looks whether somebody else changed it
STATUSES: Final = ("active", "draft", "abandoned", "resolved")
MARKETS: Final = (
    Column("ticker", "ticker", width="minmax(12em, 1fr)"),
    Column("title", "market", width="minmax(12em, 2fr)"),
    Column("probability", "your p", "number", "5em"),
    Column("now_bid", "bid $", "number", "5em"),
    Column("now_ask", "ask $", "number", "5em"),
    Column("side_now", "side", width="4em"),
    Column("edge_now", "edge $", "number", "5em"),
    Column("status", "market is", width="6em"),
    Column("result", "result", width="5em"),
)
EVIDENCE: Final = (
    Column("claim", "claim", width="5em"),
    Column("stance", "for", width="4em"),
    Column("relevance", "strength", "number", "6em"),
    Column("title", "evidence", width="minmax(12em, 1fr)"),
    Column("url", "link", width="minmax(10em, 1fr)"),
    Column("passage", "passage", width="minmax(10em, 2fr)"),
)
PAST: Final = (
    Column("version", "version", "number", "5em"),
    Column("time", "time (UTC)", width="12em"),
    Column("status", "status", width="6em"),
    Column("ticker", "ticker", width="minmax(12em, 1fr)"),
    Column("probability", "your p", "number", "5em"),
    Column("yes_bid", "bid then", "number", "6em"),
    Column("yes_ask", "ask then", "number", "6em"),
    Column("note", "note", width="minmax(8em, 1fr)"),
)


class ThesisEditor(Panel):
    """One thesis as fields; `thesis` is the version that they began from, None for one that is not kept yet.

    What is typed stays until it is kept. Where somebody else kept a version meanwhile nothing is overwritten: the panel says so, and
    `renew` takes up theirs in the fields that were not touched here.
    """

    def __init__(self, lab: Any, name: str) -> None:
        super().__init__(lab, "Thesis")
        self.thesis: Thesis | None = None
        self.name = line("Name", hint="letters, digits, spaces, - and _", value=name)
        self.markets = _area("Markets", "a line each: TICKER probability of YES, like KXA-1 0.62")
        self.because = _area("Because", "why you think so")
        self.claim = line("Claim", hint="in one sentence", width="40em")
        self.confidence = line("Confidence", hint="0 to 1", width="15em")
        self.bull, self.bear = _area("Bull case", "for your claim"), _area("Bear case", "against your claim")
        self.assumptions = _area("Assumptions", "a line each")
        self.invalidation = _area("Invalidation", "a line each: price KXA-1 < 0.2; after 2026-12-01; or words")
        self.status = choice("Status", STATUSES)
        self.note = line("Note", hint="of this change", width="40em")
        self.url, self.read = line("Link", hint="https://..."), line("Title", hint="of what was read")
        self.passage = _area("Passage", "word for word")
        self.stance = choice("Speaks for", ("not judged", "yes", "no", "neutral"))
        self.relevance = line("Strength", hint="0 to 1", width="15em")
        self.about = choice("Market", ("each",))
        self._beside = {one.description: widgets.HTML() for one in (*self._fields.values(), *self._found)}
        self._base, self._writing = self._typed(), asyncio.Lock()
        empty = pl.DataFrame()
        self.worth = Table(empty, columns=MARKETS, label="Markets and edge", caption=True, height=120, alive=True)
        self.found = Table(empty, columns=EVIDENCE, label="Evidence", caption=True, height=140)
        self.past = Table(empty, columns=PAST, sort="-version", label="Versions", caption=True, height=140)
        save = button(
            "Save", lambda: self.begin(self._alone(self.save)), hint="Keep this as the next version", style="primary"
        )
        renew = button(
            "Renew", lambda: self.begin(self._alone(self.renew)), hint="Take up the last version; what you typed stays"
        )
        add = button("Add evidence", lambda: self.begin(self._alone(self.add)))
        fields = [self._row(one) for one in self._fields.values()]
        found = [self._row(one) for one in self._found]
        self.compose(*fields, row(save, renew), self.worth, *found, row(add), self.found, self.past)
        self.every(EVERY, self.watch)

    @property
    def tables(self) -> Sequence[Table]:
        """Markets with the edge, evidence, versions."""
        return (self.worth, self.found, self.past)

    @property
    def _fields(self) -> dict[str, Any]:
        names = (
            "name",
            "markets",
            "because",
            "claim",
            "confidence",
            "bull",
            "bear",
            "assumptions",
            "invalidation",
            "status",
            "note",
        )
        return {name: getattr(self, name) for name in names}

    @property
    def _found(self) -> tuple[Any, ...]:
        return (self.url, self.read, self.passage, self.stance, self.relevance, self.about)

    def touched(self) -> dict[str, str]:
        """The fields that say something else than the version that they began from."""
        return {name: value for name, value in self._typed().items() if value != self._base[name]}

    async def load(self) -> None:
        """Open the thesis that is named; nothing where no name is given."""
        if self.name.value.strip():
            self._show(await self._written(self.name.value))

    async def save(self) -> None:
        """Keep what was changed as the next version; what is wrong is said beside its field, and what was typed stays."""
        said = self._said()
        if said is None:
            return
        if not said and self.thesis is not None:
            self.say("nothing was changed")
            return
        name = self.name.value if self.thesis is None else self.thesis.name
        typed = self._typed()
        try:
            kept = await self._written(name, version=self.thesis.version if self.thesis else 0, **said)
        except UsageError as error:
            self._place(error)
            raise
        self._show(kept, typed)
        self.say(f"kept as version {kept.version}")

    async def renew(self) -> None:
        """Take up the last version, and keep what was typed here."""
        if self.thesis is None:
            raise UsageError("there is nothing to renew", hint="Save it first")
        self._show(await self._written(self.thesis.name), self._base)
        mine = ", ".join(self.touched())
        self.say(f"version {self._version()}" + (f"; not saved yet: {mine}" if mine else ""))

    async def add(self) -> None:
        """Keep a piece of evidence; its fields are emptied only then."""
        if self.thesis is None:
            raise UsageError("there is no thesis yet", hint="Save it first, then add evidence")
        self._clear()
        strength = self.relevance.value.strip()
        if strength and not self._valid(self.relevance, lambda: scoring.probability(strength, what="strength")):
            return
        given = {"url": self.url.value.strip(), "title": self.read.value.strip(), "passage": self.passage.value.strip()}
        given |= {"relevance": strength, "stance": self.stance.value if self.stance.index else ""}
        given |= {"ticker": self.about.value if self.about.index else ""}
        try:
            kept = await self._written(
                self.thesis.name,
                version=self.thesis.version,
                evidence=[{word: value for word, value in given.items() if value}],
            )
        except UsageError as error:
            self._beside[self.url.description].value = markup.warning(told(error))
            raise
        new = len(kept.evidence) - len(self.thesis.evidence)
        self._show(kept, self._base)
        for one in (self.url, self.read, self.passage, self.relevance):
            one.value = ""
        self.say("kept" if new else "that was known already")

    async def watch(self) -> None:
        """Say it where somebody else kept a version."""
        last = await versions.latest(self.lab.store, self.thesis.name) if self.thesis else []
        if last and last[0].version != self._version():
            self.say(f"version {last[0].version} was kept elsewhere; Renew takes it up, and what you typed stays")

    def still(self) -> markup.Html:
        """The fields and tables, for a saved notebook."""
        said = {one.description: one.value for one in self._fields.values() if one.value}
        return markup.tag("div", markup.card("", said), super().still())

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One after the other, whatever is clicked meanwhile."""
        async with self._writing:
            await work()

    async def _written(self, name: str, **said: Any) -> Thesis:
        return await research.thesis(self.lab.kalshi, self.lab.store, self.lab.clock, name, **said)

    def _version(self) -> int:
        return self.thesis.version if self.thesis else 0

    def _typed(self) -> dict[str, str]:
        return {name: str(one.value) for name, one in self._fields.items()}

    def _show(self, thesis: Thesis, before: dict[str, str] | None = None) -> None:
        """Fill in what a version says; where `before` is given only the fields that still say that."""
        typed, self.thesis = self._typed(), thesis
        self._base = _words(thesis)
        for name, one in self._fields.items():
            if before is None or typed[name] == before[name]:
                one.value = self._base[name]
        self.name.disabled = True
        if self.about.options != (each := ("each", *thesis.tickers)):
            self.about.options = each
        shown = (
            (self.worth, MARKETS, thesis.frame()),
            (self.found, EVIDENCE, thesis.found()),
            (self.past, PAST, thesis.history),
        )
        for table, columns, found in shown:
            rows = found.select(one.name for one in columns)
            if not rows.equals(table.rows):
                table.rows = rows
        self.worth.foot = f"version {thesis.version}, {thesis.status}" + "".join(f"; {gap}" for gap in thesis.gaps)
        self._clear()

    def _said(self) -> dict[str, Any] | None:
        """What was changed, in the words of the library; None where a field is wrong, and then it says so beside it."""
        self._clear()
        touched = self.touched()
        checks: dict[str, Callable[[], object]] = {
            "markets": lambda: _probabilities(self.markets.value),
            "confidence": lambda: scoring.probability(self.confidence.value, what="confidence"),
            "invalidation": lambda: criteria.criteria(_lines(self.invalidation.value)),
        }
        wanted = [name for name in checks if name in touched or (name == "markets" and self.thesis is None)]
        wrong = [name for name in wanted if not self._valid(self._fields[name], checks[name])]
        if self.thesis is None and not self._valid(self.name, lambda: writing.tidy(self.name.value)):
            wrong.append("name")
        if not self.because.value.strip() and not self._valid(self.because, _reason):
            wrong.append("because")
        if wrong:
            self.trouble.value = markup.warning(f"Not saved: look at {', '.join(wrong)}")
            return None
        said: dict[str, Any] = {name: value for name, value in touched.items() if name not in {"name", "markets"}}
        said |= {name: _lines(said[name]) for name in ("assumptions", "invalidation") if name in said}
        if self.thesis is None or {"markets", "because"} & touched.keys():
            own = _probabilities(self.markets.value)
            said |= {"tickers": list(own), "probability": own, "because": self.because.value}
        return said

    def _valid(self, one: Any, check: Callable[[], object]) -> bool:
        try:
            check()
        except UsageError as error:
            self._beside[one.description].value = markup.warning(told(error))
            return False
        return True

    def _place(self, error: UsageError) -> None:
        """Say beside the markets what the exchange says of one of them."""
        if any(part.split()[0] in str(error) for part in _lines(self.markets.value)):
            self._beside[self.markets.description].value = markup.warning(told(error))

    def _clear(self) -> None:
        for one in self._beside.values():
            one.value = ""

    def _row(self, one: Any) -> Any:
        return row(one, self._beside[one.description])


def _words(thesis: Thesis) -> dict[str, str]:
    """What each field says of a version."""
    own = "\n".join(f"{one.ticker} {scoring.plain(one.probability)}" for one in thesis.markets)
    texts = {name: getattr(thesis, name) for name in ("name", "because", "claim", "bull", "bear", "status")}
    lists = {name: "\n".join(getattr(thesis, name)) for name in ("assumptions", "invalidation")}
    sure = "" if thesis.confidence is None else scoring.plain(thesis.confidence)
    return {**texts, **lists, "markets": own, "confidence": sure, "note": ""}


def _probabilities(text: str) -> dict[str, Any]:
    """The probability for each ticker. Raises UsageError for a line that says something else."""
    own = {}
    for each in _lines(text):
        parts = each.split()
        if len(parts) != 2:  # noqa: PLR2004 - a ticker and a number
            raise UsageError(f"{each!r} is not a ticker and a probability", hint="Like KXA-1 0.62")
        if parts[0] in own:
            raise UsageError(f"{parts[0]} stands there twice")
        own[params.ticker(parts[0])] = scoring.probability(parts[1])
    if not own:
        raise UsageError("a thesis needs a market", hint="A line each: KXA-1 0.62")
    return own


def _reason() -> None:
    raise UsageError("a thesis needs a reason", hint="Say why you think so")


def _lines(text: str) -> list[str]:
    return [each.strip() for each in text.splitlines() if each.strip()]


def _area(label: str, hint: str) -> Any:
    return widgets.Textarea(
        description=label,
        placeholder=hint,
        rows=2,
        layout=widgets.Layout(width="40em"),
        style={"description_width": "7em"},
    )
