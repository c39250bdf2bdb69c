"""The market explorer: search, filter, sort, and a click through to a market."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets
import polars as pl

from kalshi_lab import markup
from kalshi_lab.errors import LabError
from kalshi_lab.models.quote import mids, priced
from kalshi_lab.notebook.house import Panel, button, choice, line, row
from kalshi_lab.notebook.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL: Final = "all"
PAST: Final = timedelta(days=7)
BATCH: Final = 50  # markets whose past is asked for at once: one request holds so many weeks of hours
COLUMNS: Final = (
    Column("ticker", "ticker", width="minmax(14em, 1.4fr)"),
    Column("title", "title", width="minmax(14em, 2.6fr)"),
    Column("yes_bid", "bid $", "number", "4.6em"),
    Column("yes_ask", "ask $", "number", "4.6em"),
    Column("spread", "spread", "number", "4.6em"),
    Column("volume", "volume", "number", "6.4em"),
    Column("past", "last 7 d", "spark", "7em", sortable=False),
    Column("close_time", "closes (UTC)", "minute", "10.8em"),
)


class Explorer(Panel):
    """Markets in a table; `table.rows` are those that pass the filters, `picked` is the ticker of the one that is open."""

    def __init__(self, lab: Any, asked: dict[str, Any]) -> None:
        super().__init__(lab, "Markets")
        self._asked = asked
        self._frame = _shown(pl.DataFrame(), {})
        self._past: dict[str, list[float]] = {}
        self._wanted: set[str] = set()
        self.picked = ""
        self.search = line("Search", hint="words of the title or ticker", width="24em")
        self.category, self.series = choice("Category", [ALL], width="17.5em"), choice("Series", [ALL], width="17.5em")
        self.low, self.high = (line(f"{word} price", hint="dollars", width="15em") for word in ("Min.", "Max."))
        self.spread = line("Max. spread", hint="dollars", width="15em")
        self.volume = line("Min. volume", hint="contracts", width="15em")
        self.quoted = widgets.Checkbox(description="quoted on both sides", indent=False, layout={"width": "auto"})
        self._categories: dict[str, str] = {}
        self.table = Table(
            self._frame, columns=COLUMNS, sort="-volume", on_pick=self._pick, on_sight=self._sight, label="Markets", alive=True
        )  # fmt: skip
        self.detail = widgets.HTML()
        for one in (
            self.search,
            self.category,
            self.series,
            self.low,
            self.high,
            self.spread,
            self.volume,
            self.quoted,
        ):
            one.observe(lambda _: self.filter(), "value")
        refresh = button("Refresh", lambda: self.begin(self.load()), hint="Ask the exchange for the markets again")
        words = row(self.search, self.category, self.series, refresh)
        numbers = row(self.low, self.high, self.spread, self.volume, self.quoted)
        self.compose(words, numbers, self.table, self.detail)

    @property
    def tables(self) -> Sequence[Table]:
        """The one table."""
        return (self.table,)

    async def load(self) -> None:
        """The markets as they are now."""
        found = await self.lab.markets(**self._asked)
        self._frame = _shown(found, self._past)
        known = self._frame["series"].unique().sort().to_list()
        _offer(self.series, known)
        self.filter()
        all_asked = found.height == self._asked["limit"]
        self.say(f"These are the first {found.height:,}: there may be more; limit= says how many" if all_asked else "")
        if len(known) > 1 and not self._categories:
            self.begin(self._learn())

    async def _learn(self) -> None:
        """Which category each series is of, asked once: the markets do not say it."""
        found = await self.lab.kalshi.series.list().frame()
        self._categories = dict(found.select("ticker", "category").drop_nulls().rows())
        mine = {self._categories.get(one) for one in self._frame["series"].unique().to_list()}
        _offer(self.category, sorted(filter(None, mine)))

    def filter(self) -> None:
        """Show those that pass; a filter that cannot be read is said and left out."""
        keep = [pl.col("text").str.contains(word, literal=True) for word in self.search.value.lower().split()]
        keep += [pl.col("spread").is_not_null()] if self.quoted.value else []
        if self.series.value != ALL:
            keep.append(pl.col("series") == self.series.value)
        if self.category.value != ALL:
            mine = [series for series, category in self._categories.items() if category == self.category.value]
            keep.append(pl.col("series").is_in(mine))
        middle, wrong = pl.col("middle"), []
        tests = {
            self.low: middle.ge,
            self.high: middle.le,
            self.spread: pl.col("spread").le,
            self.volume: pl.col("volume").ge,
        }
        for box, test in tests.items():
            try:
                keep += [test(float(box.value))] if box.value.strip() else []
            except ValueError:
                wrong.append(f"{box.description} {box.value!r} is no number")
        self.table.rows = self._frame.filter(*keep) if keep else self._frame
        self.table.foot = "; ".join([f"{self.table.rows.height:,} of {self._frame.height:,} markets", *wrong])

    def _sight(self, shown: pl.DataFrame) -> None:
        """Ask once for the past of the markets that came into sight."""
        new = [one for one in shown["ticker"].to_list() if one not in self._past and one not in self._wanted][:BATCH]
        if new:
            self._wanted |= set(new)
            self.begin(self._draw_past(new))

    async def _draw_past(self, tickers: list[str]) -> None:
        try:
            found = await self.lab.kalshi.markets.batch_candlesticks(tickers, "1h", since=PAST)
        except LabError:
            self._wanted -= set(tickers)  # asked again when they come into sight again
            raise
        lines = _lines(found)
        self._past |= {ticker: lines.get(ticker, []) for ticker in tickers}
        self._frame = _with_past(self._frame, self._past)
        self.table.fill(_with_past(self.table.rows, self._past))

    def _pick(self, picked: dict[str, Any]) -> None:
        self.begin(self.look(picked["ticker"]))

    async def look(self, ticker: str) -> None:
        """One market and its book, below the table."""
        self.picked = ticker
        self.detail.value = markup.tag("div", f"Asking for {ticker} \u2026", role="status")
        try:
            market, book = await self.lab.market(ticker), await self.lab.orderbook(ticker)
            past = await self.lab.candlesticks(ticker, "1h", since=PAST)
        except LabError:
            self.detail.value = ""
            raise
        if self.picked == ticker:
            line = past.select("end_time", mids("yes_bid_close", "yes_ask_close")).rows()
            picture = markup.card("Middle of the quote, dollars", {}, markup.trend(line, f"{ticker}, 7 days"))
            ladder = markup.ladder(book.yes_bids[:8], book.asks[:8])
            parts = markup.side_by_side(markup.Html(market._repr_html_()), markup.tag("div", picture, ladder))
            self.detail.value = markup.tag("section", parts, aria_label=ticker)
            self.trouble.value = ""


def _offer(box: Any, known: list[str]) -> None:
    """Offer these, and keep what was chosen where it is still one of them."""
    before = box.value
    box.options = [ALL, *known]
    box.value = before if before in known else ALL


def _shown(found: pl.DataFrame, past: dict[str, list[float]]) -> pl.DataFrame:
    """The columns of the table, and those that filters look at."""
    texts = ("ticker", "title", "yes_sub_title", "event_ticker")
    numbers = ("yes_bid", "yes_ask", "volume")
    if found.is_empty():
        kinds: dict[str, Any] = dict.fromkeys(texts, pl.String) | dict.fromkeys(numbers, pl.Float64)
        found = pl.DataFrame(schema=kinds | {"close_time": pl.Datetime("us", "UTC")})
    words = [pl.col(name).fill_null("") for name in texts]
    made = found.select(
        "ticker",
        pl.concat_str([words[1], words[2]], separator=" \u00b7 ").str.strip_chars(" \u00b7").alias("title"),
        pl.when(pl.col("yes_bid") > 0).then("yes_bid"),  # the exchange writes an empty side as 0, or as 1
        pl.when(pl.col("yes_ask") < 1).then("yes_ask"),
        "volume",
        pl.when(priced()).then((pl.col("yes_ask") - pl.col("yes_bid")).round(6)).alias("spread"),
        mids().round(6).alias("middle"),
        "close_time",
        pl.concat_str(words, separator=" ").str.to_lowercase().alias("text"),
        words[3].str.split("-").list.first().fill_null("").alias("series"),
    )
    return _with_past(made, past)


def _with_past(frame: pl.DataFrame, past: dict[str, list[float]]) -> pl.DataFrame:
    lines = [past.get(ticker) for ticker in frame["ticker"].to_list()]
    return frame.with_columns(pl.Series("past", lines, dtype=pl.List(pl.Float64)))


def _lines(candles: pl.DataFrame) -> dict[str, list[float]]:
    """The middle of a real quote at the end of each hour, of each market."""
    if candles.is_empty():
        return {}
    middle = mids("yes_bid_close", "yes_ask_close").round(4)
    real = candles.select("ticker", middle.alias("middle")).drop_nulls()
    return {str(ticker): rows["middle"].to_list() for (ticker,), rows in real.group_by("ticker", maintain_order=True)}
