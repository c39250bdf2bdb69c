"""The client's contract with the families that need a key: signed when recorded from the sim, never asked on the real exchange."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab import frames
from kalshi_lab.kalshi.orders import NewOrder
from kalshi_lab.models import ForecastPoint, Market
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import Fill, MarketPosition, Settlement

if TYPE_CHECKING:
    from tests.cassettes.conftest import Members

LOW = "0.01"
NOWHERE = "99999999-0000-4000-8000-000000000000"
TRANSFERS = ("99999999-0000-4000-8000-000000000001", "99999999-0000-4000-8000-000000000002")


def traded(client: kl.Kalshi) -> str:
    """The market that traded last far from either end, where a bid of a cent rests."""
    return next(one.ticker or "" for one in client.markets.trades(limit=15) if 0.2 < (one.yes_price or 0) < 0.8)


def bid(ticker: str, number: int, **changes: str) -> NewOrder:
    """A small order far below the market, under a client id of its own."""
    return NewOrder(
        **{"ticker": ticker, "side": "bid", "count": "2", "price": LOW, "client_order_id": f"mine-{number}", **changes}
    )  # type: ignore[arg-type]


def test_account(members: Members) -> None:
    """The tier's budgets, what requests cost, how far the next tier is, and the wish for one."""
    account = members.mine.account
    limits, costs = account.limits(), account.endpoint_costs()
    assert limits.read is not None
    assert limits.write is not None
    assert 0 < (limits.write.refill_rate or 0) <= (limits.read.refill_rate or 0)
    assert (costs.default_cost or 0) > 0
    for progress in account.volume_progress():
        assert all((goal.keep_volume_goal or 0) <= (goal.earn_volume_goal or 0) for goal in progress.goals or ())
    members.mine.orders.create(bid(traded(members.mine), 1))
    assert account.upgrade() is None


def test_api_keys(members: Members) -> None:
    """Keys are listed, made in both ways and revoked; a private key is shown once and in no repr."""
    keys = members.mine.api_keys
    before = keys.list().api_keys
    assert [key.api_key_id for key in before or ()] == [members.key.key_id]
    own = keys.create("own", kl.Credentials.generate().public_pem, scopes=["read"])
    made = keys.generate("made", key_type="ed25519")
    assert made.private_key
    assert made.private_key not in repr(made)
    found = {key.api_key_id: key for key in keys.list().api_keys or ()}
    assert found[own.api_key_id].scopes == ("read",)
    assert found[made.api_key_id].name == "made"
    for key in (own, made):
        keys.delete(key.api_key_id)
    assert keys.list().api_keys == before
    with pytest.raises(kl.NotFound):
        keys.delete(own.api_key_id)


def test_orders(members: Members) -> None:
    """Orders are placed, found, made smaller, moved and canceled, alone and in batches, each under its client id."""
    orders, ticker = members.mine.orders, traded(members.mine)
    placed = orders.create(bid(ticker, 1))
    assert (placed.client_order_id, placed.fill_count, placed.remaining_count) == ("mine-1", 0, 2)
    with pytest.raises(kl.Conflict):
        orders.create(bid(ticker, 1))
    order_id = placed.order_id or ""
    one = orders.one(order_id)
    assert (one.ticker, one.book_side, one.status, one.yes_price) == (ticker, "bid", "resting", Decimal(LOW))
    assert one.user_id
    frame = orders.list(ticker=ticker, status="resting").frame(exact=True)
    assert (frame.schema, frame.get_column("order_id").to_list()) == (frames.schema(Order), [order_id])
    alone = orders.queue_position(order_id).queue_position
    assert [row.queue_position for row in orders.queue_positions([ticker])] == [alone]
    assert orders.decrease(order_id, reduce_by="0.5", ticker=ticker).remaining_count == Decimal("1.5")
    amended = orders.amend(order_id, ticker=ticker, side="bid", price="0.02", count=1)
    assert amended.remaining_count == 1
    assert orders.cancel(amended.order_id or order_id, ticker=ticker).reduced_by == 1
    batch = orders.create_batch([bid(ticker, 2), bid(ticker, 3), bid(ticker, 2)])
    assert [row.error is None for row in batch] == [True, True, False]
    [gone, never] = orders.cancel_batch([batch[0].order_id or "", NOWHERE], ticker=ticker)
    assert (gone.error, never.error is not None) == (None, True)
    orders.cancel_all()
    assert list(orders.list(status="resting")) == []
    with pytest.raises(kl.NotFound):
        orders.one(NOWHERE)


def test_order_groups(members: Members) -> None:
    """A group with an order in it: its limit moves, a trigger cancels, a reset lets it begin again, and it goes."""
    groups, ticker = members.mine.order_groups, traded(members.mine)
    shard = members.mine.markets.one(ticker).exchange_index
    made = groups.create(100, shard=shard).order_group_id or ""
    placed = members.mine.orders.create(bid(ticker, 1, order_group_id=made))
    assert [group.order_group_id for group in groups.list()] == [made]
    groups.update_limit(made, "50")
    one = groups.one(made)
    assert (one.contracts_limit, one.orders) == (50, (placed.order_id,))
    groups.trigger(made)
    assert members.mine.orders.one(placed.order_id or "").status == "canceled"
    groups.reset(made)
    groups.delete(made)
    assert groups.list() == ()
    with pytest.raises(kl.NotFound):
        groups.one(made)


def test_portfolio(members: Members) -> None:
    """Money in shards and subaccounts: what leaves one place arrives at the other, and nothing is lost on the way."""
    portfolio = members.mine.portfolio
    before = portfolio.balance()
    assert before.balance == sum(shard.balance or 0 for shard in before.balance_breakdown or ())
    moved = portfolio.transfer_to_shard("1.5", source_shard=0, destination_shard=1, client_transfer_id=TRANSFERS[0])
    assert portfolio.shard_transfer(moved).amount == Decimal("1.5")
    assert [one.transfer_id for one in portfolio.shard_transfers()] == [moved]
    number = portfolio.create_subaccount()
    portfolio.transfer_to_subaccount("2.50", source=0, destination=number, client_transfer_id=TRANSFERS[1])
    [row] = portfolio.subaccount_transfers()
    assert (row.from_subaccount, row.to_subaccount, row.amount_cents) == (0, number, 250)
    cash = {one.subaccount_number: Decimal(0) for one in portfolio.subaccount_balances()}
    for one in portfolio.subaccount_balances():
        cash[one.subaccount_number or 0] += one.balance or 0
    assert cash[number] == Decimal("2.50")
    assert sum(cash.values()) == before.balance
    portfolio.update_netting(number, enabled=True)
    assert {one.subaccount_number: one.enabled for one in portfolio.netting()}[number]
    portfolio.update_target_allocation({0: 70, 1: 30})
    shares = portfolio.target_allocation().allocations or ()
    assert {share.exchange_index: share.percent for share in shares} == {0: 70, 1: 30}
    assert all((one.amount_cents or 0) > 0 for one in (*portfolio.deposits(limit=3), *portfolio.withdrawals(limit=3)))


def test_positions(members: Members) -> None:
    """Orders that take become fills, fills a position, the position a settlement: amounts agree at each step."""
    portfolio, market = members.mine.portfolio, closing(members.mine)
    start = portfolio.balance().balance or 0
    taken = NewOrder(
        ticker=market.ticker,
        side="bid",
        count=3,
        price="0.99",
        time_in_force="immediate_or_cancel",
        client_order_id="a",
    )
    result = members.mine.orders.create(taken)
    assert (result.fill_count or 0) > 0
    fills = portfolio.fills([market.ticker]).frame(exact=True)
    assert fills.schema == frames.schema(Fill)
    assert fills.get_column("count").sum() == result.fill_count
    spent = sum(row["yes_price"] * row["count"] + row["fee_cost"] for row in fills.iter_rows(named=True))
    assert portfolio.balance().balance == start - spent
    positions = portfolio.positions(ticker=market.ticker).frame(exact=True)
    assert (positions.schema, positions.get_column("position").to_list()) == (
        frames.schema(MarketPosition),
        [result.fill_count],
    )
    assert [one.event_ticker for one in portfolio.event_positions(event=market.event_ticker)] == [market.event_ticker]
    rests = members.mine.orders.create(bid(market.ticker, 1))
    assert portfolio.resting_order_value().total_cents == 2
    members.later(4 * 86_400)
    [settled] = portfolio.settlements(ticker=market.ticker)
    assert (settled.yes_count, settled.market_result in {"yes", "no"}) == (result.fill_count, True)
    assert portfolio.settlements().frame(exact=True).schema == frames.schema(Settlement)
    paid = Decimal(settled.revenue_cents or 0) / 100
    assert paid == (result.fill_count if settled.market_result == "yes" else 0)
    assert portfolio.balance().balance == start - spent + paid
    assert members.mine.orders.one(rests.order_id or "").status == "canceled"


def closing(client: kl.Kalshi) -> Market:
    """Of the markets that traded lately, the one that closes first."""
    tickers = list(dict.fromkeys(trade.ticker or "" for trade in client.markets.trades(limit=15)))[:4]
    return min(client.markets.list(tickers=tickers), key=lambda market: str(market.close_time))


def test_historical_account(members: Members) -> None:
    """Behind the cutoffs: the account's old orders, fills and positions, none of a new account."""
    historical, ticker = members.mine.historical, traded(members.mine)
    for listing, record in (
        (historical.orders(ticker, limit=3), Order),
        (historical.fills(ticker, limit=3), Fill),
        (historical.positions(ticker=ticker, limit=3), MarketPosition),
    ):
        frame = listing.frame(exact=True)
        assert (frame.height, listing.refused) == (0, [])
        assert frame.schema == frames.schema(record)


def test_forecasts(members: Members) -> None:
    """What the markets of an event together forecast: percentiles that rise, period by period."""
    client = members.mine
    trade = next(iter(client.markets.trades(limit=1)))
    event = client.events.one((trade.ticker or "").rpartition("-")[0])
    assert trade.created_time is not None
    frame = client.events.forecast_percentiles(
        event.event_ticker,
        [2500, 5000, 7500],
        "1h",
        series=event.series_ticker,
        since=trade.created_time - timedelta(hours=4),
        until=trade.created_time,
    )
    assert frame.schema.keys() == frames.schema(ForecastPoint).keys()
    for _, period in frame.group_by("end_time"):
        assert period.sort("percentile").get_column("raw_numerical_forecast").drop_nulls().is_sorted()


def test_combos(members: Members) -> None:
    """A combo is made of two events' markets once: the same legs give the same market again."""
    client = members.mine
    collection = client.multivariate.one(next(iter(client.multivariate.list(limit=1))).collection_ticker)
    events = [client.events.one(one.ticker or "") for one in (collection.associated_events or ())[:2]]
    legs = [(event.event_ticker, event.markets[0].ticker, "yes") for event in events]
    made = client.multivariate.create_market(collection.collection_ticker, legs, with_market=True)
    assert made.market is not None
    assert [leg.market_ticker for leg in made.market.mve_selected_legs or ()] == [ticker for _, ticker, _ in legs]
    assert client.multivariate.create_market(collection.collection_ticker, legs).market_ticker == made.market_ticker
