"""Snapshots keep the changes of a listing, and nothing when the listing was not read to its end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from kalshi_lab import Unavailable
from kalshi_lab.sim.wire import DAY
from tests.ingest import truth

if TYPE_CHECKING:
    from kalshi_lab import Lab
    from kalshi_lab.sim import Exchange

QUOTE = [
    "ticker",
    "status",
    "yes_bid",
    "yes_bid_size",
    "yes_ask",
    "yes_ask_size",
    "last_price",
    "volume",
    "open_interest",
]


def test_a_snapshot_is_the_listing(lab: Lab) -> None:
    """After a look at an empty store the quotes are those of the listing, all of them changes, and the markets are known."""
    made = lab.snapshot()
    listing = lab.markets(exact=True).sort("ticker")
    assert (made.markets, made.changed, made.gone, made.quarantined) == (listing.height, listing.height, 0, 0)
    assert made.complete
    assert made.combos_left_out
    assert lab.quotes(exact=True).select(QUOTE).equals(listing.select(QUOTE), null_equal=True)
    assert lab.sql("SELECT markets, changed, keyframe, complete FROM snapshots").row(0) == (
        made.markets,
        made.changed,
        True,
        True,
    )
    assert sorted(lab.table("markets")["ticker"]) == listing["ticker"].to_list()


def test_only_what_changed_is_kept(lab: Lab, upset: Exchange) -> None:
    """Looks while nothing moves keep nothing; after hours the changed and the vanished are counted and as-of tells both times."""
    first = lab.snapshot()
    before = lab.quotes()
    assert lab.snapshot().changed == 0
    upset.advance(3 * 3600)
    later = lab.snapshot()
    after = lab.markets()
    joined = before.join(after, on="ticker", how="full", suffix="_now")
    new, gone = (joined.filter(pl.col(name).is_null()).height for name in ("ticker", "ticker_now"))
    both = joined.drop_nulls(["ticker", "ticker_now"])
    moved = both.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_now")) for name in QUOTE[1:])).height
    assert (later.changed, later.gone) == (moved + new, gone)
    assert 0 < later.changed <= later.markets
    assert lab.quotes(as_of=first.time).equals(before, null_equal=True)
    assert sorted(lab.quotes()["ticker"]) == sorted(after["ticker"])
    assert lab.quotes(as_of=first.time - timedelta(seconds=1)).is_empty()


def test_a_market_that_left_is_gone(lab: Lab, upset: Exchange) -> None:
    """Markets that closed since the look before are not among the quotes, and their last quote is still there as of then."""
    first = lab.snapshot(series="KXHIGHNY")
    upset.advance(2 * DAY)
    later = lab.snapshot(series="KXHIGHNY")
    assert later.gone > 0
    left = set(lab.quotes(as_of=first.time)["ticker"]) - set(lab.quotes()["ticker"])
    assert len(left) == later.gone
    assert lab.sql("SELECT keyframe FROM snapshots ORDER BY time")["keyframe"].to_list() == [True, True]
    assert lab.sql("SELECT count(*) FROM quotes WHERE gone").item() == later.gone


def test_a_failed_look_proves_nothing_gone(lab: Lab, upset: Exchange) -> None:
    """A look that did not reach the end of the listing keeps nothing at all."""
    lab.snapshot(status=None, series="KXHIGHNY")
    before = lab.table("quotes")
    upset.faults("/markets", "status", status=503, times=99)
    with pytest.raises(Unavailable):
        lab.snapshot(status=None, series="KXHIGHNY")
    assert lab.table("quotes").equals(before, null_equal=True)
    assert truth.count(lab, "snapshots") == 1


def test_looks_at_different_listings_do_not_disturb_each_other(lab: Lab) -> None:
    """A look at one series says nothing about the markets of the others."""
    lab.snapshot()
    narrow = lab.snapshot(series="KXHIGHNY")
    assert narrow.gone == 0
    assert narrow.markets < lab.quotes().height
    assert sorted(lab.quotes()["ticker"]) == sorted(lab.markets()["ticker"])
    chosen = lab.markets(series="KXHIGHNY")["ticker"].to_list()[:2]
    named = lab.snapshot(tickers=chosen)
    assert (named.markets, named.combos_left_out) == (2, None)
    assert sorted(lab.quotes(tickers=chosen)["ticker"]) == sorted(chosen)


def test_a_market_that_could_not_be_read_is_not_gone(lab: Lab, upset: Exchange) -> None:
    """A row that this look could not read is in the quarantine, and its last quote stands."""
    listing = [{"ticker": "A-1", "yes_bid_dollars": "0.5000"}, {"ticker": "B-1", "yes_bid_dollars": "0.5000"}]
    upset.faults("/markets", "status", status=200, body={"markets": listing, "cursor": ""})
    lab.snapshot(tickers=["A-1", "B-1"])
    listing[0]["yes_bid_dollars"] = "half"
    upset.faults("/markets", "status", status=200, body={"markets": listing, "cursor": ""})
    later = lab.snapshot(tickers=["A-1", "B-1"])
    assert (later.markets, later.changed, later.gone, later.quarantined) == (1, 0, 0, 1)
    assert lab.quotes()["ticker"].to_list() == ["A-1", "B-1"]
    assert lab.table("quarantine")["dataset"].to_list() == ["quotes"]
