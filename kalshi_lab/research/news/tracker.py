"""News of the markets that are followed: looked for in steps, so that each article is found once and paid for once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import frames
from kalshi_lab.clock import When, between, span
from kalshi_lab.errors import LabError, UsageError, unknown
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research.context import question
from kalshi_lab.research.news import articles
from kalshi_lab.research.news.articles import Followed
from kalshi_lab.research.news.judges import ByWords
from kalshi_lab.research.news.summary import NewsSentiment, summed
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from kalshi_lab.clock import Clock
    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.models import Market
    from kalshi_lab.research.news.judges import Judge
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.spend import Spending

OVERLAP: Final = timedelta(hours=12)  # dates are estimates, and pages are found late
PAGES: Final = 10  # results that the price of a search includes
TOPIC: Final[dict[str, Any]] = {
    "target": pl.String, "kind": pl.String, "queries": articles.TEXTS, "tickers": articles.TEXTS, "claims": articles.TEXTS,
    "tracked": pl.Boolean, "created_at": frames.TIME, "read_until": frames.TIME, "looked_at": frames.TIME, "problem": pl.String,
}  # fmt: skip
COLLECTED: Final[dict[str, Any]] = {
    "target": pl.String, "found": pl.Int64, "new": pl.Int64, "linked": pl.Int64, "judged": pl.Int64, "problem": pl.String,
}  # fmt: skip
ALL: Final = "SELECT * FROM news_topics WHERE tracked ORDER BY created_at, target"
STOP: Final = "UPDATE news_topics SET tracked = false WHERE target = $1 AND tracked"
SEEN: Final = (
    "UPDATE news_topics SET read_until = coalesce($2, read_until), looked_at = $3, problem = $4 WHERE target = $1"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """What is followed."""

    target: str
    queries: tuple[str, ...]
    followed: tuple[Followed, ...]
    created_at: datetime
    read_until: datetime | None


class AsyncNews:
    """News of the markets and events of one store: `track` them, `collect` what is new, look at `articles` and their `sentiment`."""

    def __init__(self, kalshi: AsyncKalshi, exa: AsyncExa, store: Store, clock: Clock, *, spending: Spending) -> None:
        self._kalshi, self._exa, self._store, self._clock = kalshi, exa, store, clock
        self._spending = spending

    async def track(self, target: str, *, queries: str | Iterable[str] | None = None) -> pl.DataFrame:
        """Follow a market or an event; the topics that are followed, see `topics` for the columns.

        queries: what to search for; its own question where none are given. What was found for others and concerns it, too, is linked to it
        at once. Raises NotFound for a ticker that is neither a market nor an event.
        """
        markets = await self._markets(target)
        asked = (queries,) if isinstance(queries, str) else tuple(queries or ())
        if any(not one.strip() for one in asked):
            raise UsageError("a query has no words")
        kind = "market" if len(markets) == 1 and markets[0].ticker == target else "event"
        followed = [_followed(market) for market in markets]
        row = {
            "target": target, "kind": kind, "queries": list(asked or _queries(markets)), "tickers": [one.ticker for one in followed],
            "claims": [f"{one.claim}\n{one.outcome}" for one in followed], "tracked": True, "created_at": self._clock.now(),
        }  # fmt: skip
        now = self._clock.now()
        await self._store.write(lambda connection: _track(connection, row, followed, now))
        return await self.topics()

    async def untrack(self, target: str) -> None:
        """Follow it no longer; what was found stays. Raises UsageError for what is not followed."""
        known = [one.target for one in await self._topics()]
        if target not in known:
            raise unknown("topic", target, known)
        await self._store.write(lambda connection: connection.execute(STOP, [target]) and None)

    async def topics(self) -> pl.DataFrame:
        """What is followed, a row each.

        Columns: target, kind String; queries, tickers List(String); created_at, read_until, looked_at Datetime(us, UTC); problem String,
        of the last look.
        """
        return (await self._store.read(ALL)).drop("tracked", "claims")

    async def collect(
        self, *, since: When = "7d", budget: Decimal | None = None, judge: Judge | None = None
    ) -> pl.DataFrame:
        """Look for news of everything that is followed, and judge how they lean; a row for each topic.

        Each topic is read from where its last look ended, with twelve hours of overlap, the first time from `since` on. An article is kept
        once, by the one form of its address, and linked to every followed market that it concerns, whichever topic found it. A search that
        fails, or that the budget does not allow, leaves its topic where it was, says so in `problem`, and stops no other.
        Columns: target String; found (pages), new (articles), linked (pairs of article and market), judged Int64; problem String (null
        where all went well). Raises UsageError for a time that is none.
        """
        now = self._clock.now()
        between(since, None, now=now)  # whatever is followed
        task = self._spending.part("news", budget)
        exa = self._exa.within(task)
        topics = await self._topics()
        everyone = list({one.ticker: one for topic in topics for one in topic.followed}.values())
        chosen = judge or ByWords()
        told = [await self._look(exa, topic, everyone, chosen, since=since, now=now) for topic in topics]
        return pl.DataFrame(told, schema=COLLECTED)

    async def _look(
        self, exa: AsyncExa, topic: Topic, everyone: Sequence[Followed], judge: Judge, *, since: When, now: datetime
    ) -> dict[str, Any]:
        counts, problem, newest = {"found": 0, "new": 0, "linked": 0, "judged": 0}, None, topic.read_until
        start = _start(topic, since, now)
        for query in topic.queries:
            try:
                reply = await exa.search(
                    query, category="news", num_results=PAGES, start_published_date=start, highlights=True
                )
                kept, pairs = await self._store.write(partial(_keep, reply.results, reply.request_id, everyone, now))
                counts["judged"] += await self._judge(kept, pairs, judge, now)
            except UsageError:
                raise
            except LabError as error:
                problem = f"{type(error).__name__}: {error}"[:500]
                break
            counts["found"] += len(reply.results)
            counts["new"] += len(kept)
            counts["linked"] += len(pairs)
            newest = max([one.published_date for one in reply.results if one.published_date] + [newest or start])
        mark = None if problem else min(newest or start, now)
        await self._store.write(
            lambda connection: connection.execute(SEEN, [topic.target, mark, now, problem]) and None
        )
        return {"target": topic.target, **counts, "problem": problem}

    async def _judge(
        self, kept: Sequence[dict[str, Any]], pairs: Sequence[tuple[str, Followed]], judge: Judge, now: datetime
    ) -> int:
        """Judge the new pairs; how many."""
        rows = {row["key"]: row for row in kept}
        made = []
        for key, market in pairs:
            said = await judge.judge(market.claim, market.outcome, [rows[key]["title"] or "", *rows[key]["passages"]])
            made.append((key, market.ticker, said.method, said.score, said.certainty, now))
        frame = pl.DataFrame(made, schema=articles.JUDGED, orient="row")
        keys = ["key", "ticker", "method"]
        await self._store.write(lambda connection: writes.insert_new(connection, "sentiments", keys, frame))
        return len(made)

    async def articles(self, target: str | None = None, *, since: When = "30d", method: str = "words") -> pl.DataFrame:
        """The articles of a market, of an event's markets, or of all, the newest first.

        Columns: ticker, key, story (the key of its first copy), title, url, domain, author, published (by its own words, null where it
        says nothing), first_seen (UTC), passages (list), score (-1 to 1 towards YES; null: it does not say), certainty, method.
        Raises UsageError for a time that is none.
        """
        start, _ = between(since, None, now=self._clock.now())
        tickers = None if target is None else await self._tickers(target)
        now = self._clock.now() + timedelta(seconds=1)
        return await self._store.read(articles.OF_MARKETS, [tickers, method, start, now])

    async def sentiment(
        self, target: str, *, since: timedelta | str = "7d", method: str = "words", confidence: float = 0.95
    ) -> NewsSentiment:
        """How the news of a market, or of an event's markets, lean towards YES, over the last `since` and the one before.

        Copies of one story count once. Windows are half-open and by first_seen, the honest time: when one could have known. See the
        result for its figures; null where nothing was said.
        Raises UsageError for a length of time that is none, or a confidence outside (0, 1).
        """
        length, now = span(since, what="since"), self._clock.now() + timedelta(microseconds=1)
        names = [await self._tickers(target), method]
        read = [
            await self._store.read(articles.OF_MARKETS, [*names, now - n * length, now - (n - 1) * length])
            for n in (1, 2)
        ]
        return summed(target, *read, length=length, confidence=confidence)

    async def _topics(self) -> list[Topic]:
        return [_topic(row) for row in (await self._store.read(ALL)).to_dicts()]

    async def _tickers(self, target: str) -> list[str]:
        for topic in await self._topics():
            if topic.target == target:
                return [one.ticker for one in topic.followed]
        return [target]

    async def _markets(self, target: str) -> tuple[Market, ...]:
        """The market of a ticker, or an event's markets."""
        try:
            return (await self._kalshi.markets.one(target),)
        except LabError:
            return tuple((await self._kalshi.events.one(target)).markets or ())


def _followed(market: Market) -> Followed:
    return Followed(market.ticker, question(market), market.yes_sub_title or "")


def _queries(markets: Sequence[Market]) -> list[str]:
    """The first market's question stands for its event's."""
    return [question(market) for market in markets[:1]]


def _topic(row: dict[str, Any]) -> Topic:
    pairs = zip(row["tickers"], row["claims"], strict=True)
    followed = tuple(Followed(ticker, *text.split("\n", 1)) for ticker, text in pairs)
    return Topic(row["target"], tuple(row["queries"]), followed, row["created_at"], row["read_until"])


def _track(connection: Connection, row: dict[str, Any], followed: Sequence[Followed], now: datetime) -> None:
    """Keep a topic, and link it to what is known already."""
    writes.upsert(connection, "news_topics", ["target"], pl.DataFrame([row], schema=TOPIC))
    for market in followed:
        known = writes.rows(connection, articles.UNLINKED, [market.ticker])
        articles.link(connection, known, [market], now)


def _keep(
    pages: Sequence[Any], request_id: str, everyone: Sequence[Followed], now: datetime, connection: Connection
) -> tuple[list[dict[str, Any]], list[tuple[str, Followed]]]:
    kept = articles.keep(connection, pages, request_id, now)
    return kept, articles.link(connection, kept, everyone, now)


def _start(topic: Topic, since: When, now: datetime) -> datetime:
    """From where a topic is read on, the same for an hour, so that a repeated look is answered from what was paid for."""
    first, _ = between(since, None, now=now)
    begin = first or now
    start = begin if topic.read_until is None else max(topic.read_until - OVERLAP, begin - timedelta(days=30))
    return start.replace(minute=0, second=0, microsecond=0)


class News(Facade):
    """News, blocking. See `AsyncNews`."""

    track = blocking(AsyncNews.track)
    untrack = blocking(AsyncNews.untrack)
    topics = blocking(AsyncNews.topics)
    collect = blocking(AsyncNews.collect)
    articles = blocking(AsyncNews.articles)
    sentiment = blocking(AsyncNews.sentiment)
