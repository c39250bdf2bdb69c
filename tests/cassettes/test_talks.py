"""The client's contract with members' talks (requests, quotes, block trades, batches) and with what clearing members ask."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab import frames
from kalshi_lab.models.account import FcmFill
from kalshi_lab.models.communications import RFQ, BlockTrade, Quote
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import MarketPosition
from tests.cassettes.test_private import bid, traded

if TYPE_CHECKING:
    from tests.cassettes.conftest import Members

LATER = "2036-01-01T00:00:00Z"


def test_communications(members: Members) -> None:
    """A request is quoted, the quote accepted and confirmed; another quote and request are withdrawn; each side sees its part."""
    mine, theirs, ticker = members.mine.communications, members.theirs.communications, traded(members.mine)
    rfq = mine.create_rfq(ticker, contracts=10)
    with pytest.raises(kl.Conflict):
        mine.create_rfq(ticker, contracts=10)
    listing = mine.rfqs(status="open", mine=True).frame(exact=True)
    assert (listing.schema, listing.get_column("id").to_list()) == (frames.schema(RFQ), [rfq])
    one = mine.rfq(rfq)
    assert (one.market_ticker, one.contracts, one.creator_id) == (ticker, 10, mine.id())
    quote = theirs.create_quote(rfq, yes_bid="0.40", no_bid="0.50")
    seen = mine.quotes(rfq_id=rfq, for_my_rfqs=True).frame(exact=True)
    assert (seen.schema, seen.get_column("id").to_list()) == (frames.schema(Quote), [quote])
    assert mine.quote(quote, rfq).yes_bid == Decimal("0.40")
    mine.accept_quote(quote, "yes", rfq_id=rfq)
    assert theirs.quote(quote).status == "accepted"
    theirs.confirm_quote(quote, rfq_id=rfq)
    assert theirs.quote(quote, rfq).status in {"confirmed", "executed"}
    second = mine.create_rfq(ticker, contracts=5, replace_existing=True)
    replaced = theirs.create_quote(second, yes_bid="0.30", no_bid="0.60")
    theirs.delete_quote(replaced, rfq_id=second)
    mine.delete_rfq(second)
    assert list(mine.rfqs(status="open", mine=True)) == []


def test_deprecated_quotes(members: Members) -> None:
    """Quotes without their request in the path, as older clients name them: accepted, confirmed, withdrawn."""
    mine, theirs, ticker = members.mine.communications, members.theirs.communications, traded(members.mine)
    rfq = mine.create_rfq(ticker, contracts=10)
    theirs.delete_quote(theirs.create_quote(rfq, yes_bid="0.30", no_bid="0.60"))
    quote = theirs.create_quote(rfq, yes_bid="0.40", no_bid="0.50")
    mine.accept_quote(quote, "no")
    theirs.confirm_quote(quote)
    assert mine.quote(quote).accepted_side == "no"


def test_block_trades(members: Members) -> None:
    """A trade away from the book: proposed to a user, accepted by both, listed as such."""
    ticker = traded(members.mine)
    users = [user(client, ticker) for client in (members.mine, members.theirs)]
    assert users[0] != users[1]
    proposal = members.theirs.communications.propose_block_trade(
        ticker, 10, "0.42", buyer_user_id=users[0], seller_user_id=users[1], maker_side="yes", expires=LATER
    )
    members.mine.communications.accept_block_trade(proposal)
    frame = members.mine.communications.block_trades(limit=3).frame(exact=True)
    assert (frame.schema, frame.get_column("id").to_list()) == (frames.schema(BlockTrade), [proposal])
    assert frame.select("buyer_user_id", "seller_user_id", "price_centi_cents", "centicount").row(0) == (
        *users,
        4200,
        1000,
    )


def user(client: kl.Kalshi, ticker: str) -> str:
    """A member's user id, which its orders carry."""
    return str(client.orders.one(client.orders.create(bid(ticker, 1)).order_id or "").user_id)


def test_rfq_batches(members: Members) -> None:
    """Unverified: requests in a batch are quoted together, the best quotes accepted and confirmed; another batch is withdrawn."""
    mine, theirs, ticker = members.mine.communications, members.theirs.communications, traded(members.mine)
    children = [{"market_ticker": ticker, "contracts_fp": "5.00"}]
    batch = mine.create_rfq_batch(children).id or ""
    assert [one.id for one in mine.rfq_batches(status="open")] == [batch]
    [row] = mine.best_quotes(batch).rfqs or ()
    rfq = row.rfq_id or ""
    theirs.delete_batch_quote(batch, theirs.create_batch_quote(batch, {rfq: ("0.30", "0.60")}))
    quote = theirs.create_batch_quote(batch, {rfq: ("0.40", "0.50")})
    assert quote in [one.id for one in mine.batch_quotes(batch)]
    assert (mine.best_quotes(batch).rfqs or ())[0].yes_bid == Decimal("0.40")
    assert mine.accept_rfq_batch(batch, "yes", {rfq: "0.40"}).accepted_side == "yes"
    theirs.confirm_batch_quote(batch, quote)
    assert mine.rfq_batch(batch).status != "open"
    other = mine.create_rfq_batch(children).id or ""
    mine.delete_rfq_batch(other)
    assert mine.rfq_batch(other).status == "closed"


def test_fcm(members: Members) -> None:
    """A clearing member's traders: made, listed, blocked from a category, capped; their orders, fills and positions."""
    fcm = members.mine.fcm
    names = [fcm.create_subtrader(suffix) for suffix in ("one", "two")]
    assert {one.subtrader_id for one in fcm.subtraders()} >= set(names)
    assert fcm.update_blocked_categories(names[0], "Sports", blocked=True) == ["Sports"]
    assert fcm.blocked_categories(names[0]) == ["Sports"]
    fcm.update_daily_cap(names[0], 1000)
    assert fcm.daily_cap(names[0]).limit == 1000
    fcm.delete_daily_cap(names[0])
    assert fcm.transfer_position(traded(members.mine), 2, "0.42", source=names[0], destination=names[1])
    for listing, record in (
        (fcm.fills(limit=3), FcmFill),
        (fcm.orders(names[0], limit=3), Order),
        (fcm.positions(names[1], limit=3), MarketPosition),
    ):
        assert (listing.frame(exact=True).schema, listing.refused) == (frames.schema(record), [])
