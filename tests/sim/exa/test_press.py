"""What is written about a world: it follows the hidden odds, it is always the same, nobody reads it before it is out."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.sim.exa.stories import DOWN, FLAT, INJECTION, UP, Stories
from kalshi_lab.sim.wire import DAY, SECOND
from kalshi_lab.sim.world import World
from tests.sim.exa.conftest import BILL, Desk

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.stories import Leaf

QUERIES = (BILL, "temperature in New York", "bitcoin price", "game tonight", "forecasts calibrated")


def text(now: int) -> str:
    return datetime.fromtimestamp(now / SECOND, UTC).isoformat()


def test_the_same_seed_writes_the_same_and_another_something_else(world: World) -> None:
    """So that whoever asks twice, or in another order, reads the same."""
    asked = [Stories(World(open_markets=100, history_days=2, seed=seed)) for seed in (world.seed, world.seed, 8)]
    one, again, other = (
        [stories.leaves(event) for event in order]
        for stories, order in zip(asked, (range(40), range(39, -1, -1), range(40)), strict=True)
    )
    assert one == again[::-1]
    assert one != other


def test_nothing_is_made_before_it_is_asked_for(desk: Desk) -> None:
    engine = desk.service.engine
    assert "_index" not in vars(engine)
    assert engine.stories.leaves.cache_info().currsize == 0
    desk.post("/search", query=BILL)
    assert 0 < engine.stories.leaves.cache_info().currsize <= 40 < len(desk.world.events)


@pytest.mark.parametrize("query", QUERIES)
def test_a_page_is_found_once_it_is_out_and_never_before(desk: Desk, query: str) -> None:
    """TH-8: nothing of later, whatever is asked for; a snapshot of the future is one of now."""
    out = {leaf.url: leaf.time for leaf in [*desk.pages(), *desk.service.engine.stories.papers()]}
    now = desk.clock.now()
    for at, seen in ((None, now), (text(now + 30 * DAY * SECOND), now), (text(now - DAY * SECOND), now - DAY * SECOND)):
        found = desk.post("/search", query=query, numResults=100, contents={"snapshotAsOf": at})["results"]
        assert found
        assert max(out[row["url"]] for row in found) <= seen
        if at:
            assert all(row.get("snapshotAt", "") <= f"{text(seen)[:19]}.999Z" for row in found)


def test_a_page_of_tomorrow_is_read_tomorrow(desk: Desk) -> None:
    now = desk.clock.now()
    page = next(leaf for leaf in desk.pages() if now < leaf.time < now + DAY * SECOND and not leaf.broken)
    told = desk.post("/contents", urls=[page.url])
    assert (told["results"], told["statuses"][0]["error"]["tag"]) == ([], "CRAWL_NOT_FOUND")
    told = desk.post("/contents", urls=[page.url], snapshotAsOf=text(page.time))
    assert told["statuses"][0]["error"]["tag"] == "CONTENT_NOT_CACHED"
    desk.clock.advance(DAY)
    assert desk.post("/contents", urls=[page.url])["results"][0]["url"] == page.url
    before = desk.post("/contents", urls=[page.url], snapshotAsOf=text(page.time - SECOND))
    assert before["statuses"][0]["error"]["tag"] == "CONTENT_NOT_CACHED"
    assert desk.post("/contents", urls=[page.url], snapshotAsOf=text(page.time - 200 * DAY * SECOND))["results"] == []


def test_reports_lean_as_the_odds_moved_and_say_so(desk: Desk) -> None:
    """NW-5: the leaning is known, its sign is that of the odds' change, and the words are those of its side."""
    names, said = desk.world.names, {1: UP, -1: DOWN, 0: FLAT}
    counted: Counter[int] = Counter()
    for leaf in desk.pages():
        if leaf.kind != "news" or "utm_" in leaf.url:
            continue
        ticker, event = names.market(leaf.markets[0]), int(desk.world.markets.event[leaf.markets[0]])
        if leaf.time >= desk.world.events.close[event]:
            continue
        earlier = max(leaf.time - DAY * SECOND // 2, int(desk.world.events.open[event]))
        moved = desk.world.truth_at(ticker, leaf.time) - desk.world.truth_at(ticker, earlier)
        side = (leaf.lean > 0) - (leaf.lean < 0)
        assert leaf.lean == pytest.approx(0 if abs(moved) < 0.03 else max(-1, min(1, moved / 0.3)))
        yes = names.text(leaf.markets[0]).yes
        told = {one for one, phrases in said.items() if any(phrase.format(yes=yes) in leaf.text for phrase in phrases)}
        assert told == {side}
        counted[side] += 1
    assert min(counted[1], counted[-1], counted[0]) > 20


def test_the_truth_is_told_for_each_market_by_its_own_yes(desk: Desk) -> None:
    """NW-2: an article is linked to every market that it concerns; how it leans is told for the first."""
    shared = next(leaf for leaf in desk.pages() if len(leaf.markets) > 1)
    tickers = [desk.world.names.market(row) for row in shared.markets]
    told = [row for row in desk.service.truth(tickers) if row["url"] == shared.url]
    assert [row["ticker"] for row in told] == tickers
    assert [row["sentiment"] for row in told] == [shared.lean, None]
    assert all(row["tickers"] == tickers and row["published"] == shared.time // SECOND for row in told)
    assert desk.service.truth(["NOBODY"]) == []


ODD = {
    "no title": lambda leaf: leaf.title == "",
    "markup and money in the title": lambda leaf: "<img" in leaf.title and "$" in leaf.title,
    "no date": lambda leaf: leaf.stated is None and leaf.kind == "news",
    "an empty date": lambda leaf: leaf.stated == "",
    "a guessed date": lambda leaf: (leaf.stated or "").endswith("-01-01T00:00:00.000Z"),
    "no author": lambda leaf: leaf.author is None,
    "an id with a slash more": lambda leaf: leaf.id == f"{leaf.url}/",
    "a copy with the marks of a campaign": lambda leaf: "?utm_source=" in leaf.url,
    "a copy on a host for telephones": lambda leaf: leaf.host.startswith("m."),
    "a host of fast pages": lambda leaf: leaf.host.startswith("amp."),
    "orders to whoever reads it": lambda leaf: INJECTION in leaf.text,
    "two markets": lambda leaf: len(leaf.markets) > 1,
    "a source": lambda leaf: leaf.kind == "source",
    "gone": lambda leaf: leaf.broken == "CRAWL_NOT_FOUND",
    "forbidden": lambda leaf: leaf.broken == "SOURCE_NOT_AVAILABLE",
    "read without a page": lambda leaf: leaf.broken == "MISSING",
    "failed without a reason": lambda leaf: leaf.broken == "UNKNOWN",
}


def test_the_press_is_as_odd_as_the_web(desk: Desk) -> None:
    """EXA-2, EXA-4: each oddity that the contract warns of is on some page, and none is on every page."""
    pages = desk.pages()
    for what, is_odd in ODD.items():
        number = sum(map(is_odd, pages))
        assert 0 < number < len(pages), what


def test_a_copy_tells_the_same_story_later_elsewhere(desk: Desk) -> None:
    pages: dict[str, Leaf] = {leaf.url: leaf for leaf in desk.pages()}
    copies = [leaf for leaf in pages.values() if "?utm_" in leaf.url]
    assert copies
    for copy in copies:
        path = copy.url.split("/", 3)[3].split("?")[0]
        (first,) = [leaf for leaf in pages.values() if leaf.url.endswith(f"/{path}")]
        assert (copy.text, copy.lean, copy.time - first.time) == (first.text, first.lean, 3600 * SECOND)
        assert copy.host != first.host
        assert desk.service.engine.stories.find(copy.url.split("?")[0]) == copy
