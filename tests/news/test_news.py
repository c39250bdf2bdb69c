"""News that are followed: each article once, linked to every market that it concerns, nothing lost when a search fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.errors import NotFound, UsageError
from kalshi_lab.exa.records import Page, sources
from kalshi_lab.research.news import articles
from kalshi_lab.research.news.articles import Followed, concerns, headline
from kalshi_lab.research.news.summary import summed
from kalshi_lab.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
A, B = (
    Followed("A", "Will H.R. 1001 on school meals pass the House?", "Passes"),
    Followed("B", "Will H.R. 1001 pass by May?", "Passes"),
)

START = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    home = tmp_path_factory.mktemp("news")
    with kl.Lab(
        "sim",
        home=home,
        world={"markets": 400, "clock": "frozen", "start": START},
        backoff_base=0.001,
        breaker_failures=1000,
    ) as made:
        made.caps(run=50, day=50)
        yield made


@pytest.fixture(autouse=True)
def clean(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "lab" in request.fixturenames:
        made = request.getfixturevalue("lab")
        made.simulated.faults()
        made.simulated.exa()
        made.exa.credited()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kalshi.duckdb")


def pages(*rows: dict[str, Any]) -> list[Page]:
    made, refused = sources(Page, list(rows))
    assert refused == 0
    return made


def keep(store: Store, found: list[Page], followed: list[Followed], now: datetime = NOW) -> tuple[int, int]:
    def work(connection: Any) -> tuple[int, int]:
        rows = articles.keep(connection, found, "r", now)
        return len(rows), len(articles.link(connection, rows, followed, now))

    return asyncio.run(store.write(work))


def test_an_article_is_kept_once_whatever_its_address_looks_like(store: Store) -> None:
    """NW-2: dedupe by the one form of the address; copies of a story are known as such."""
    first = {
        "url": "https://www.a.example/x?utm_source=f",
        "title": "H.R. 1001 gains ground - The Ledger",
        "publishedDate": "2026-11-19",
    }
    same = {**first, "url": "http://m.a.example/x/"}
    copy = {**first, "url": "https://b.example/y", "title": "H.R. 1001 gains ground", "publishedDate": "2026-11-20"}
    later = {**copy, "url": "https://c.example/z", "publishedDate": "2026-11-29"}
    assert keep(store, pages(first, same, copy, later), [A]) == (3, 0)
    rows = asyncio.run(store.table("articles")).sort("url")
    assert rows["story"].n_unique() == 2
    assert keep(store, pages(same), [A]) == (0, 0)


def test_an_article_is_linked_to_every_market_that_it_concerns_also_a_later_one(store: Store) -> None:
    """NW-2: the earlier tool left the second market of an article without data."""
    found = pages(
        {
            "url": "https://a.example/x",
            "title": "H.R. 1001 on school meals to pass the House by May",
            "highlights": ["It will."],
        }
    )
    assert keep(store, found, [A]) == (1, 1)

    def later(connection: Any) -> int:
        from kalshi_lab.store import writes

        return len(articles.link(connection, writes.rows(connection, articles.UNLINKED, ["B"]), [B], NOW))

    assert asyncio.run(store.write(later)) == 1
    assert sorted(asyncio.run(store.table("article_markets"))["ticker"]) == ["A", "B"]


@pytest.mark.parametrize(
    ("article", "is_about"),
    [
        ("House will pass H.R. 1001, school meals bill", True),
        ("House will pass H.R. 1002, school meals bill", False),
        ("H.R. 1001", False),
        ("", False),
    ],
)
def test_what_an_article_is_about_is_told_by_its_words_and_figures(article: str, is_about: bool) -> None:
    assert concerns("Will H.R. 1001 on school meals pass the House?", article) is is_about


def test_headlines_lose_the_name_of_their_outlet() -> None:
    assert headline("Odds rise for <b>bill</b> - The Ledger") == headline("ODDS RISE for b bill b")
    assert headline(None) == ""


@pytest.mark.long
def test_news_are_followed_collected_and_judged(lab: kl.Lab) -> None:
    """NW-1, NW-2: track, collect in steps, articles and their lean against the sim's own truth."""
    ticker = str(lab.markets(series="KXBILLVOTE", limit=1)["ticker"][0])
    assert lab.news.track(ticker)["target"].to_list() == [ticker]
    lab.simulated.advance(86_400 * 2)
    first = lab.news.collect(since="60d").row(0, named=True)
    assert first["problem"] is None
    assert first["new"] > 0
    new = [lab.news.collect(since="60d")["new"][0] for _ in range(4)]
    assert new[-1] == 0  # the window has moved on to where there is nothing more
    rows = lab.news.articles(ticker)
    truth = {kl_key(one["url"]): one["sentiment"] for one in lab.simulated.exa_truth(ticker)}
    assert rows.height >= 1
    assert set(rows["key"]) <= set(truth)
    for row in rows.to_dicts():
        if row["score"] is not None and truth[row["key"]]:
            assert row["score"] * truth[row["key"]] > 0
    told = lab.news.sentiment(ticker, since="30d")
    assert told.basis.n == rows.filter(pl.col("score").is_not_null())["story"].n_unique()
    assert told.plot().png().startswith(b"\x89PNG")
    lab.news.untrack(ticker)
    assert lab.news.topics().is_empty()
    with pytest.raises(UsageError, match="unknown topic"):
        lab.news.untrack(ticker)


def kl_key(url: str) -> str:
    from kalshi_lab.exa import canonical

    return canonical(url)


@pytest.mark.long
def test_a_failure_leaves_the_topic_where_it_was_and_is_told_as_what_it_is(lab: kl.Lab) -> None:
    """NW-1, NW-2: an error is no "not found", and a failed look does not move the mark."""
    event = str(lab.events(series="KXCPI", limit=1)["event_ticker"][0])
    lab.news.track(event, queries="something that nobody asked for before")
    lab.simulated.faults("/exa/search", times=100)
    row = lab.news.collect().row(0, named=True)
    assert row["problem"].startswith("Unavailable")
    topic = lab.news.topics().row(0, named=True)
    assert topic["read_until"] is None
    assert topic["problem"] == row["problem"]
    lab.simulated.faults()
    assert lab.news.collect(budget=Decimal("0.001"))["problem"][0].startswith("BudgetExceeded")
    assert lab.news.collect()["problem"][0] is None
    assert lab.news.topics()["read_until"][0] is not None
    with pytest.raises(NotFound):
        lab.news.track("KXNOSUCH")
    lab.news.untrack(event)


def frame(*scores: float | None, stories: list[str] | None = None) -> pl.DataFrame:
    names = stories or [f"s{n}" for n in range(len(scores))]
    return pl.DataFrame(
        {"story": names, "score": list(scores), "first_seen": [NOW] * len(scores)},
        schema_overrides={"score": pl.Float64, "story": pl.String},
    )


def test_the_mean_has_its_uncertainty_and_copies_count_once() -> None:
    """NW-5: mean, median, counts, change against the window before; nothing said is null."""
    told = summed(
        "A",
        frame(0.5, 0.5, -0.5, None, stories=["a", "a", "b", "c"]),
        frame(-1.0, -0.5),
        length=timedelta(days=7),
        confidence=0.95,
    )
    row = told.table.row(0, named=True)
    assert (row["mean"], row["stories"], row["articles"], row["silent"]) == (0.0, 2, 4, 1)
    assert (row["low"], row["high"]) == (-1.0, 1.0)
    assert told.change == 0.75
    assert "neither way" in told.conclusion
    one = summed("A", frame(0.5), frame(), length=timedelta(days=7), confidence=0.95)
    assert (one.mean, one.change, one.table["low"][0]) == (0.5, None, None)
    none = summed("A", frame(), frame(None), length=timedelta(days=7), confidence=0.95)
    assert none.mean is None
    assert "nothing was said" in none.conclusion
    assert none.plot().png().startswith(b"\x89PNG")
