"""News of the earlier tool: what an import kept whole in `imported` becomes articles with their links, once.

When it collected an article is when one could have known of it. Its sentiment was that of the prose, not towards an outcome, so it stays
where it was kept; ask for one anew. What cannot be read as an article stays there, too.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import polars as pl

from kalshi_lab.exa.urls import canonical
from kalshi_lab.research.findings import domain
from kalshi_lab.research.news import articles
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

LONGEST: Final = 2000  # characters of a text that are kept as its passage
ROWS: Final = "SELECT row FROM imported WHERE source = 'sqlite' AND name = $1 ORDER BY key"
HELD: Final = "SELECT key, title, coalesce(published, first_seen) AS time, story FROM articles"
EVENTS: Final = "SELECT ticker, event_ticker FROM markets WHERE event_ticker IS NOT NULL"
TIMES: Final = ("published_date", "published_at", "published")
TEXTS: Final = ("snippet", "summary", "full_text", "text")
Row = dict[str, Any]


async def import_news(store: Store, now: datetime) -> pl.DataFrame:
    """Make articles and their links of what is kept in `imported`; what became of the rows.

    Columns: table, into (String), received, stored, duplicate, quarantined (Int64: no address of a page, or a time that is none).
    """
    return await store.write(lambda connection: _import(connection, now))


def _import(connection: Connection, now: datetime) -> pl.DataFrame:
    held = {row["key"]: row for row in writes.rows(connection, HELD, [])}
    kept, keys, bad = _articles(_read(connection, "news_articles"), held, now)
    writes.insert(connection, "articles", pl.DataFrame(kept, schema=articles.ARTICLE))
    told = [("news_articles", "articles", len(keys) + bad, len(kept), len(keys) - len(kept), bad)]
    events: dict[str, list[str]] = {}
    for row in writes.rows(connection, EVENTS, []):
        events.setdefault(row["event_ticker"], []).append(row["ticker"])
    for table, name in (("news_article_markets", "ticker"), ("news_article_events", "event_ticker")):
        rows = list(_read(connection, table))
        pairs = {
            (keys[row["article_id"]], ticker): now
            for row in rows
            if row.get("article_id") in keys and row.get(name)
            for ticker in ([row[name]] if name == "ticker" else events.get(row[name], []))
        }
        links = pl.DataFrame([(*pair, time) for pair, time in pairs.items()], schema=articles.LINK, orient="row")
        stored = writes.insert_new(connection, "article_markets", ["key", "ticker"], links)
        told.append((table, "article_markets", len(pairs), stored, len(pairs) - stored, 0))
    schema = ["table", "into", "received", "stored", "duplicate", "quarantined"]
    return pl.DataFrame(told, schema=schema, orient="row")


def _read(connection: Connection, name: str) -> Iterable[Row]:
    return (json.loads(row["row"]) for row in writes.rows(connection, ROWS, [name]))


def _articles(rows: Iterable[Row], held: Mapping[str, Row], now: datetime) -> tuple[list[Row], dict[Any, str], int]:
    """The articles that are new, the key of each of the file's, by its id there, and how many cannot be read."""
    made, bad = [], 0
    for row in rows:
        try:
            made.append((row.get("id"), _article(row, now)))
        except ValueError:
            bad += 1
    known = set(held)
    stories: dict[str, dict[tuple[str, str], Row]] = {}
    for one in held.values():
        _remember(stories, one)
    kept = []
    for _, one in sorted(made, key=lambda each: (each[1]["first_seen"], each[1]["key"])):
        if one["key"] not in known:
            known.add(one["key"])
            one["story"] = articles.story(one, stories.get(articles.headline(one["title"]), {}))
            _remember(stories, {**one, "time": one["published"] or one["first_seen"]})
            kept.append(one)
    return kept, {number: one["key"] for number, one in made}, bad


def _remember(stories: dict[str, dict[tuple[str, str], Row]], row: Row) -> None:
    line = articles.headline(row["title"])
    if line:
        stories.setdefault(line, {})[line, row["key"]] = row


def _article(row: Row, now: datetime) -> Row:
    url = row.get("url")
    if not isinstance(url, str) or urlsplit(url.strip()).scheme not in {"http", "https"} or not domain(url.strip()):
        raise ValueError("no address of a page")
    words = {name: row[name] for name in ("title", "author", "request_id") if isinstance(row.get(name), str)}
    passages = [str(row[name])[:LONGEST] for name in TEXTS if isinstance(row.get(name), str) and row[name].strip()][:1]
    published = next((found for name in TIMES if (found := _time(row.get(name))) is not None), None)
    key, seen = canonical(url), _time(row.get("collected_at")) or now
    return {"key": key, "story": key, "url": url.strip(), "title": None, "author": None, "request_id": None, **words,
            "domain": domain(url.strip()), "published": published, "first_seen": seen, "passages": passages}  # fmt: skip


def _time(value: object) -> datetime | None:
    """A time; without a zone it means UTC, as the earlier tool wrote it."""
    if value is None or value == "":
        return None
    made = datetime.fromisoformat(str(value))
    return made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)
