"""The earlier tool's news become articles, each once, with their links and the times at which they were collected."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

import kalshi_lab as kl
from tests.export.test_legacy import filled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

DAY = "2026-01-10 12:00:00.000000"
ARTICLES = [  # id, url, title, text, collected_at
    (2, "https://www.x.org/b?utm_source=y", "Fed holds - The Paper", "It held.", DAY),
    (3, "https://z.org/c", "Fed holds | Another", "", "2026-01-11T12:00:00+00:00"),
    (4, "https://x.org/b#top", "the same page", None, DAY),
    (5, "javascript:alert(1)", "no page", "x", DAY),
    (6, "https://x.org/d", "a time that is none", "x", "yesterday"),
    (7, "https://x.org/e", None, "'; DROP TABLE articles; --", None),
]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = filled(tmp_path / "kalshi.db")
    with sqlite3.connect(path) as made:
        made.execute("DELETE FROM news_articles")
        made.execute("ALTER TABLE news_articles ADD COLUMN collected_at DATETIME")
        made.executemany(
            "INSERT INTO news_articles (id, url, title, full_text, collected_at) VALUES (?, ?, ?, ?, ?)", ARTICLES
        )
        links = [(2, "KXFED-26JAN-A"), (3, "KXFED-26JAN-A"), (4, "KXFED-26JAN-A"), (5, "KXFED-26JAN-A"), (9, "KXGONE")]
        made.executemany("INSERT INTO news_article_markets VALUES (?, ?)", links)
        made.execute("INSERT INTO news_article_events VALUES (3, 'KXFED-26JAN')")
        made.execute("INSERT INTO news_sentiments VALUES (1, 2, 0.5, 'positive')")
    return path


@pytest.fixture
def lab(tmp_path: Path, exchange: Exchange) -> Iterator[kl.Lab]:
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path / "home") as made:
        yield made


def test_each_article_is_there_once_with_its_links(lab: kl.Lab, old: Path) -> None:
    """NW-2, DB-1: by the one form of its address; copies of a story are known; what is no article is put aside and stays in `imported`."""
    told = lab.import_file(old).filter(pl.col("into").is_in(["articles", "article_markets"]))
    assert told.drop("into").rows() == [
        ("news_articles", 6, 3, 1, 2),
        ("news_article_markets", 2, 2, 0, 0),
        ("news_article_events", 3, 2, 1, 0),
    ]
    found = asyncio.run(lab._twin.store.table("articles")).sort("key")
    assert found.select("key", "story", "domain", "passages").rows() == [
        ("x.org/b", "x.org/b", "x.org", ["It held."]),
        ("x.org/e", "x.org/e", "x.org", ["'; DROP TABLE articles; --"]),
        ("z.org/c", "x.org/b", "z.org", []),
    ]
    seen = dict(found.select("key", "first_seen").rows())
    assert seen["x.org/b"] == datetime(2026, 1, 10, 12, tzinfo=UTC)
    assert seen["z.org/c"] == datetime(2026, 1, 11, 12, tzinfo=UTC)
    links = asyncio.run(lab._twin.store.table("article_markets")).select("key", "ticker").sort("key", "ticker").rows()
    assert links == [
        ("x.org/b", "KXFED-26JAN-A"),
        ("z.org/c", "KXFED-26JAN-A"),
        ("z.org/c", "KXFED-26JAN-B"),
        ("z.org/c", "KXFED-26JAN-C"),
    ]
    assert lab.news.articles("KXFED-26JAN-A", since="2026-01-01")["score"].to_list() == [None, None]
    assert asyncio.run(lab._twin.store.table("sentiments")).is_empty()


def test_a_second_import_adds_nothing(lab: kl.Lab, old: Path) -> None:
    """NW-2: the same file again, and its articles stay one each."""
    lab.import_file(old)
    before = asyncio.run(lab._twin.store.table("articles"))
    again = lab.import_file(old)
    assert again["stored"].sum() == 0
    assert asyncio.run(lab._twin.store.table("articles")).equals(before)
