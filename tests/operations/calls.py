"""Each operation called once, as a user would: the same words on the blocking and the awaited client."""

# ruff: noqa: ARG005 - all calls have one shape
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalshi_lab.kalshi.orders import NewOrder

if TYPE_CHECKING:
    from collections.abc import Callable

UUID = "11111111-2222-3333-4444-555555555555"


@dataclass
class Known:
    """Names that the calls use; for the simulated exchange they are those of things that exist there."""

    series: str = "KXHIGHNY"
    event: str = "KXHIGHNY-26NOV20"
    charted: str = "KXHIGHNY-26NOV20"
    ticker: str = "KXHIGHNY-26NOV20-B51.5"
    archived: str = "KXHIGHNY-26OCT15-B57.5"
    price: str = "0.42"
    milestone: str = UUID
    milestone_type: str = "football_game"
    target: str = UUID
    collection: str = "KXMVECROSSCATEGORY-R"
    legs: tuple[tuple[str, str, str], ...] = (("KX-A", "KX-A-B", "yes"), ("KX-C", "KX-C-D", "no"))
    city: str = "nyc"
    order: str = UUID
    other_order: str = UUID
    group: str = UUID
    transfer: str = UUID
    rfq: str = UUID
    quote: str = UUID
    block_trade: str = UUID
    batch: str = UUID
    batch_quote: str = UUID
    key: str = UUID
    public_key: str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
    subtrader: str = "sub-1"
    other_subtrader: str = "sub-2"
    suffix: str = "two"
    user: str = UUID
    since: str = "2026-11-20T00:00:00Z"
    until: str = "2026-11-20T12:00:00Z"
    later: str = "2036-01-01T00:00:00Z"


def order(c: Known, **changes: Any) -> NewOrder:
    """A small order at the known price."""
    return NewOrder(**{"ticker": c.ticker, "side": "bid", "count": "1.5", "price": c.price, **changes})


PUBLIC: dict[str, Callable[[Any, Known], Any]] = {
    "get_exchange_status": lambda k, c: k.exchange.status(),
    "get_exchange_schedule": lambda k, c: k.exchange.schedule(),
    "get_series_fee_changes": lambda k, c: k.exchange.series_fee_changes(series=c.series, historical=True),
    "get_user_data_timestamp": lambda k, c: k.exchange.user_data_time(),
    "get_markets": lambda k, c: k.markets.list(status="open", series=c.series, limit=5),
    "get_market": lambda k, c: k.markets.one(c.ticker),
    "get_trades": lambda k, c: k.markets.trades(c.ticker, since=c.since, until=c.until, limit=5),
    "get_market_orderbook": lambda k, c: k.markets.orderbook(c.ticker, depth=3),
    "get_market_orderbooks": lambda k, c: k.markets.orderbooks([c.ticker]),
    "get_market_candlesticks": lambda k, c: k.markets.candlesticks(
        c.ticker, "1h", since=c.since, until=c.until, series=c.series
    ),
    "batch_get_market_candlesticks": lambda k, c: k.markets.batch_candlesticks(
        [c.ticker], "1h", since=c.since, until=c.until
    ),
    "get_series_list": lambda k, c: k.series.list(category="Climate and Weather", volume=True),
    "get_series": lambda k, c: k.series.one(c.series, volume=True),
    "get_events": lambda k, c: k.events.list(series=c.series, markets=True, limit=3),
    "get_event": lambda k, c: k.events.one(c.event),
    "get_event_metadata": lambda k, c: k.events.metadata(c.event),
    "get_multivariate_events": lambda k, c: k.events.multivariate(limit=3),
    "get_event_fee_changes": lambda k, c: k.events.fee_changes(limit=3),
    "get_market_candlesticks_by_event": lambda k, c: k.events.candlesticks(
        c.event, "1h", series=c.series, since=c.since, until=c.until
    ),
    "get_historical_cutoff": lambda k, c: k.historical.cutoff(),
    "get_historical_markets": lambda k, c: k.historical.markets(series=c.series, limit=3),
    "get_historical_market": lambda k, c: k.historical.market(c.archived),
    "get_market_candlesticks_historical": lambda k, c: k.historical.candlesticks(
        c.archived, "1h", since="2026-10-10T00:00:00Z", until="2026-10-16T00:00:00Z"
    ),
    "get_trades_historical": lambda k, c: k.historical.trades(c.archived, limit=3),
    "get_milestones": lambda k, c: k.milestones.list(limit=3),
    "get_milestone": lambda k, c: k.milestones.one(c.milestone),
    "get_multivariate_event_collections": lambda k, c: k.multivariate.list(limit=3),
    "get_multivariate_event_collection": lambda k, c: k.multivariate.one(c.collection),
    "get_structured_targets": lambda k, c: k.structured_targets.list(limit=3),
    "get_structured_target": lambda k, c: k.structured_targets.one(c.target),
    "get_tags_for_series_categories": lambda k, c: k.search.tags_by_category(),
    "get_filters_for_sports": lambda k, c: k.search.filters_by_sport(),
    "get_incentive_programs": lambda k, c: k.incentive_programs.list(status="active", limit=3),
    "get_live_datas": lambda k, c: k.live_data.batch([c.milestone]),
    "get_event_live_data": lambda k, c: k.live_data.event(c.charted),
    "get_live_data_by_milestone": lambda k, c: k.live_data.milestone(c.milestone),
    "get_live_data": lambda k, c: k.live_data.typed_milestone(c.milestone_type, c.milestone),
    "get_game_stats": lambda k, c: k.live_data.game_stats(c.milestone),
    "get_weather_index": lambda k, c: k.live_data.weather(c.city, since=c.since, until=c.until),
    "get_weather_index_calibrations": lambda k, c: k.live_data.weather_calibrations(c.city),
    "get_account_endpoint_costs": lambda k, c: k.account.endpoint_costs(),
}
READS: dict[str, Callable[[Any, Known], Any]] = {
    "get_event_forecast_percentiles_history": lambda k, c: k.events.forecast_percentiles(
        c.event, [2500, 5000, 7500], "1h", series=c.series, since=c.since, until=c.until
    ),
    "get_fills_historical": lambda k, c: k.historical.fills(c.ticker, limit=3),
    "get_historical_orders": lambda k, c: k.historical.orders(c.ticker, limit=3),
    "get_historical_positions": lambda k, c: k.historical.positions(ticker=c.ticker, limit=3),
    "get_orders": lambda k, c: k.orders.list(ticker=c.ticker, status="resting", limit=3),
    "get_order": lambda k, c: k.orders.one(c.order),
    "get_order_queue_position": lambda k, c: k.orders.queue_position(c.order),
    "get_order_queue_positions": lambda k, c: k.orders.queue_positions([c.ticker]),
    "get_order_groups": lambda k, c: k.order_groups.list(),
    "get_order_group": lambda k, c: k.order_groups.one(c.group),
    "get_balance": lambda k, c: k.portfolio.balance(),
    "get_positions": lambda k, c: k.portfolio.positions(settled="all", nonzero="total_traded", limit=3),
    "get_fills": lambda k, c: k.portfolio.fills([c.ticker], since=c.since, limit=3),
    "get_settlements": lambda k, c: k.portfolio.settlements(limit=3),
    "get_deposits": lambda k, c: k.portfolio.deposits(limit=3),
    "get_withdrawals": lambda k, c: k.portfolio.withdrawals(limit=3),
    "get_portfolio_resting_order_total_value": lambda k, c: k.portfolio.resting_order_value(),
    "get_target_balance_allocation": lambda k, c: k.portfolio.target_allocation(),
    "get_intra_exchange_instance_transfers": lambda k, c: k.portfolio.shard_transfers(limit=3),
    "get_intra_exchange_instance_transfer": lambda k, c: k.portfolio.shard_transfer(c.transfer),
    "get_subaccount_balances": lambda k, c: k.portfolio.subaccount_balances(),
    "get_subaccount_transfers": lambda k, c: k.portfolio.subaccount_transfers(limit=3),
    "get_subaccount_netting": lambda k, c: k.portfolio.netting(),
    "get_communications_id": lambda k, c: k.communications.id(),
    "get_rfqs": lambda k, c: k.communications.rfqs(status="open", mine=True, limit=3),
    "get_rfq": lambda k, c: k.communications.rfq(c.rfq),
    "get_quotes": lambda k, c: k.communications.quotes(rfq_id=c.rfq, mine=True, limit=3),
    "get_rfq_quote": lambda k, c: k.communications.quote(c.quote, c.rfq),
    "get_quote": lambda k, c: k.communications.quote(c.quote),
    "get_block_trade_proposals": lambda k, c: k.communications.block_trades(limit=3),
    "get_account_api_limits": lambda k, c: k.account.limits(),
    "get_account_api_usage_level_volume_progress": lambda k, c: k.account.volume_progress(),
    "get_api_keys": lambda k, c: k.api_keys.list(),
    "get_fcm_fills": lambda k, c: k.fcm.fills(since=c.since, limit=3),
    "get_fcm_orders": lambda k, c: k.fcm.orders(c.subtrader, client_order_ids=["mine"], limit=3),
    "get_fcm_positions": lambda k, c: k.fcm.positions(c.subtrader, limit=3),
    "list_fcm_subtraders": lambda k, c: k.fcm.subtraders(),
    "get_fcm_subtrader_blocked_categories": lambda k, c: k.fcm.blocked_categories(c.subtrader),
    "get_fcm_event_contract_daily_cap": lambda k, c: k.fcm.daily_cap(c.subtrader),
}
WRITES: dict[str, Callable[[Any, Known], Any]] = {
    "create_market_in_multivariate_event_collection": lambda k, c: k.multivariate.create_market(c.collection, c.legs),
    "create_order_v2": lambda k, c: k.orders.create(order(c)),
    "batch_create_orders_v2": lambda k, c: k.orders.create_batch(
        [order(c, side="ask", price="0.99"), order(c, count=1)]
    ),
    "amend_order_v2": lambda k, c: k.orders.amend(c.order, ticker=c.ticker, side="bid", price=c.price, count=1),
    "decrease_order_v2": lambda k, c: k.orders.decrease(c.order, reduce_by="0.5", ticker=c.ticker),
    "cancel_order_v2": lambda k, c: k.orders.cancel(c.order, ticker=c.ticker),
    "batch_cancel_orders_v2": lambda k, c: k.orders.cancel_batch([c.other_order], ticker=c.ticker),
    "cancel_all_orders": lambda k, c: k.orders.cancel_all(),
    "create_order_group": lambda k, c: k.order_groups.create(100),
    "update_order_group_limit": lambda k, c: k.order_groups.update_limit(c.group, "50"),
    "trigger_order_group": lambda k, c: k.order_groups.trigger(c.group),
    "reset_order_group": lambda k, c: k.order_groups.reset(c.group),
    "delete_order_group": lambda k, c: k.order_groups.delete(c.group),
    "set_target_balance_allocation": lambda k, c: k.portfolio.update_target_allocation({0: 70, 1: 30}),
    "intra_exchange_instance_transfer": lambda k, c: k.portfolio.transfer_to_shard(
        "1.5", source_shard=0, destination_shard=1
    ),
    "create_subaccount": lambda k, c: k.portfolio.create_subaccount(),
    "apply_subaccount_transfer": lambda k, c: k.portfolio.transfer_to_subaccount("2.50", source=0, destination=1),
    "update_subaccount_netting": lambda k, c: k.portfolio.update_netting(0, enabled=True),
    "create_rfq": lambda k, c: k.communications.create_rfq(c.ticker, contracts=10, replace_existing=True),
    "create_quote": lambda k, c: k.communications.create_quote(c.rfq, yes_bid="0.4", no_bid="0.5"),
    "accept_rfq_quote": lambda k, c: k.communications.accept_quote(c.quote, "yes", rfq_id=c.rfq),
    "accept_quote": lambda k, c: k.communications.accept_quote(c.quote, "yes"),
    "confirm_rfq_quote": lambda k, c: k.communications.confirm_quote(c.quote, rfq_id=c.rfq),
    "confirm_quote": lambda k, c: k.communications.confirm_quote(c.quote),
    "delete_rfq_quote": lambda k, c: k.communications.delete_quote(c.quote, rfq_id=c.rfq),
    "delete_quote": lambda k, c: k.communications.delete_quote(c.quote),
    "delete_rfq": lambda k, c: k.communications.delete_rfq(c.rfq),
    "propose_block_trade": lambda k, c: k.communications.propose_block_trade(
        c.ticker, 100, "0.4250", buyer_user_id=c.user, seller_user_id=c.user, maker_side="yes", expires=c.later
    ),
    "accept_block_trade_proposal": lambda k, c: k.communications.accept_block_trade(c.block_trade),
    "upgrade_account_api_usage_level": lambda k, c: k.account.upgrade(),
    "create_api_key": lambda k, c: k.api_keys.create("mine", c.public_key, scopes=["read"]),
    "generate_api_key": lambda k, c: k.api_keys.generate("another"),
    "delete_api_key": lambda k, c: k.api_keys.delete(c.key),
    "create_fcm_position_transfer": lambda k, c: k.fcm.transfer_position(
        c.ticker, 2, "0.42", source=c.subtrader, destination=c.other_subtrader
    ),
    "create_fcm_subtrader": lambda k, c: k.fcm.create_subtrader(c.suffix),
    "update_fcm_subtrader_blocked_categories": lambda k, c: k.fcm.update_blocked_categories(
        c.subtrader, "Sports", blocked=True
    ),
    "update_fcm_event_contract_daily_cap": lambda k, c: k.fcm.update_daily_cap(c.subtrader, 1000),
    "delete_fcm_event_contract_daily_cap": lambda k, c: k.fcm.delete_daily_cap(c.subtrader),
}
UNVERIFIED: dict[str, Callable[[Any, Known], Any]] = {
    "get_rfq_batches": lambda k, c: k.communications.rfq_batches(status="open", limit=3),
    "create_rfq_batch": lambda k, c: k.communications.create_rfq_batch(
        [{"market_ticker": c.ticker, "contracts_fp": "5.00"}]
    ),
    "get_rfq_batch": lambda k, c: k.communications.rfq_batch(c.batch),
    "get_rfq_batch_best_quotes": lambda k, c: k.communications.best_quotes(c.batch),
    "get_rfq_batch_quotes": lambda k, c: k.communications.batch_quotes(c.batch),
    "create_rfq_batch_quote": lambda k, c: k.communications.create_batch_quote(c.batch, {c.rfq: ("0.4", "0.5")}),
    "accept_rfq_batch": lambda k, c: k.communications.accept_rfq_batch(c.batch, "yes", {c.rfq: "0.4"}),
    "confirm_rfq_batch_quote": lambda k, c: k.communications.confirm_batch_quote(c.batch, c.batch_quote),
    "delete_rfq_batch_quote": lambda k, c: k.communications.delete_batch_quote(c.batch, c.batch_quote),
    "delete_rfq_batch": lambda k, c: k.communications.delete_rfq_batch(c.batch),
}
CALLS = PUBLIC | READS | WRITES | UNVERIFIED
