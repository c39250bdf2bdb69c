"""Every operation of the exchange's REST API as one table: what requests are made from, and what `Kalshi.operations()` shows.

Source: the exchange's OpenAPI document, version 3.34 (October 2026), and for the RFQ batches, which it does not have yet, a newer
one seen through another client only: those are marked unverified.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from kalshi_lab.door import Call, segment

if TYPE_CHECKING:
    import polars as pl

    from kalshi_lab.kalshi.params import Params

# a family in brackets, then its operations: name here, method, path, name there, and marks: "key" (needs a key), tokens other than
# 10, "each" (tokens are for each item of a batch), "repeat" (a write that may be sent twice), "unverified"
_TABLE = """
[exchange]
exchange.status                 GET    /exchange/status                                             get_exchange_status
exchange.schedule               GET    /exchange/schedule                                           get_exchange_schedule
exchange.series_fee_changes     GET    /series/fee_changes                                          get_series_fee_changes
exchange.user_data_time         GET    /exchange/user_data_timestamp                                get_user_data_timestamp
[market]
markets.list                    GET    /markets                                                     get_markets
markets.one                     GET    /markets/{ticker}                                            get_market
markets.trades                  GET    /markets/trades                                              get_trades
markets.orderbook               GET    /markets/{ticker}/orderbook                                  get_market_orderbook
markets.orderbooks              GET    /markets/orderbooks                                          get_market_orderbooks
markets.candlesticks            GET    /series/{series_ticker}/markets/{ticker}/candlesticks        get_market_candlesticks
markets.batch_candlesticks      GET    /markets/candlesticks                                        batch_get_market_candlesticks
series.list                     GET    /series                                                      get_series_list
series.one                      GET    /series/{series_ticker}                                      get_series
[events]
events.list                     GET    /events                                                      get_events
events.one                      GET    /events/{event_ticker}                                       get_event
events.metadata                 GET    /events/{event_ticker}/metadata                              get_event_metadata
events.multivariate             GET    /events/multivariate                                         get_multivariate_events
events.fee_changes              GET    /events/fee_changes                                          get_event_fee_changes
events.candlesticks             GET    /series/{series_ticker}/events/{ticker}/candlesticks         get_market_candlesticks_by_event
events.forecast_percentiles     GET    /series/{series_ticker}/events/{ticker}/forecast_percentile_history get_event_forecast_percentiles_history key
[historical]
historical.cutoff               GET    /historical/cutoff                                           get_historical_cutoff
historical.markets              GET    /historical/markets                                          get_historical_markets
historical.market               GET    /historical/markets/{ticker}                                 get_historical_market
historical.candlesticks         GET    /historical/markets/{ticker}/candlesticks                    get_market_candlesticks_historical
historical.trades               GET    /historical/trades                                           get_trades_historical
historical.fills                GET    /historical/fills                                            get_fills_historical key
historical.orders               GET    /historical/orders                                           get_historical_orders key
historical.positions            GET    /historical/positions                                        get_historical_positions key
[milestone]
milestones.list                 GET    /milestones                                                  get_milestones
milestones.one                  GET    /milestones/{milestone_id}                                   get_milestone
[multivariate]
multivariate.list               GET    /multivariate_event_collections                              get_multivariate_event_collections
multivariate.one                GET    /multivariate_event_collections/{collection_ticker}          get_multivariate_event_collection
multivariate.create_market      POST   /multivariate_event_collections/{collection_ticker}          create_market_in_multivariate_event_collection key repeat
[structured_targets]
structured_targets.list         GET    /structured_targets                                          get_structured_targets
structured_targets.one          GET    /structured_targets/{structured_target_id}                   get_structured_target
[search]
search.tags_by_category         GET    /search/tags_by_categories                                   get_tags_for_series_categories
search.filters_by_sport         GET    /search/filters_by_sport                                     get_filters_for_sports
[incentive_programs]
incentive_programs.list         GET    /incentive_programs                                          get_incentive_programs
[live_data]
live_data.batch                 GET    /live_data/batch                                             get_live_datas
live_data.event                 GET    /live_data/events/{event_ticker}                             get_event_live_data
live_data.milestone             GET    /live_data/milestone/{milestone_id}                          get_live_data_by_milestone
live_data.typed_milestone       GET    /live_data/{type}/milestone/{milestone_id}                   get_live_data
live_data.game_stats            GET    /live_data/milestone/{milestone_id}/game_stats               get_game_stats
live_data.weather               GET    /live_data/weather/{city}                                    get_weather_index
live_data.weather_calibrations  GET    /live_data/weather/{city}/calibrations                       get_weather_index_calibrations
[orders]
orders.list                     GET    /portfolio/orders                                            get_orders key
orders.one                      GET    /portfolio/orders/{order_id}                                 get_order key 2
orders.queue_position           GET    /portfolio/orders/{order_id}/queue_position                  get_order_queue_position key
orders.queue_positions          GET    /portfolio/orders/queue_positions                            get_order_queue_positions key
orders.create                   POST   /portfolio/events/orders                                     create_order_v2 key repeat
orders.create_batch             POST   /portfolio/events/orders/batched                             batch_create_orders_v2 key each repeat
orders.cancel                   DELETE /portfolio/events/orders/{order_id}                          cancel_order_v2 key 2 repeat
orders.cancel_batch             DELETE /portfolio/events/orders/batched                             batch_cancel_orders_v2 key 2 each repeat
orders.cancel_all               DELETE /portfolio/events/orders                                     cancel_all_orders key 2 repeat
orders.amend                    POST   /portfolio/events/orders/{order_id}/amend                    amend_order_v2 key
orders.decrease                 POST   /portfolio/events/orders/{order_id}/decrease                 decrease_order_v2 key
[order_groups]
order_groups.list               GET    /portfolio/order_groups                                      get_order_groups key
order_groups.one                GET    /portfolio/order_groups/{order_group_id}                     get_order_group key
order_groups.create             POST   /portfolio/order_groups/create                               create_order_group key
order_groups.delete             DELETE /portfolio/order_groups/{order_group_id}                     delete_order_group key repeat
order_groups.reset              PUT    /portfolio/order_groups/{order_group_id}/reset               reset_order_group key repeat
order_groups.trigger            PUT    /portfolio/order_groups/{order_group_id}/trigger             trigger_order_group key repeat
order_groups.update_limit          PUT    /portfolio/order_groups/{order_group_id}/limit               update_order_group_limit key repeat
[portfolio]
portfolio.balance               GET    /portfolio/balance                                           get_balance key
portfolio.positions             GET    /portfolio/positions                                         get_positions key
portfolio.fills                 GET    /portfolio/fills                                             get_fills key
portfolio.settlements           GET    /portfolio/settlements                                       get_settlements key
portfolio.deposits              GET    /portfolio/deposits                                          get_deposits key
portfolio.withdrawals           GET    /portfolio/withdrawals                                       get_withdrawals key
portfolio.resting_order_value   GET    /portfolio/summary/total_resting_order_value                 get_portfolio_resting_order_total_value key
portfolio.target_allocation     GET    /portfolio/target_balance_allocation                         get_target_balance_allocation key
portfolio.update_target_allocation POST   /portfolio/target_balance_allocation                         set_target_balance_allocation key repeat
portfolio.shard_transfers       GET    /portfolio/intra_exchange_instance_transfers                 get_intra_exchange_instance_transfers key
portfolio.shard_transfer        GET    /portfolio/intra_exchange_instance_transfers/{transfer_id}   get_intra_exchange_instance_transfer key
portfolio.transfer_to_shard     POST   /portfolio/intra_exchange_instance_transfer                  intra_exchange_instance_transfer key repeat
portfolio.create_subaccount     POST   /portfolio/subaccounts                                       create_subaccount key
portfolio.subaccount_balances   GET    /portfolio/subaccounts/balances                              get_subaccount_balances key
portfolio.subaccount_transfers  GET    /portfolio/subaccounts/transfers                             get_subaccount_transfers key
portfolio.transfer_to_subaccount POST  /portfolio/subaccounts/transfer                              apply_subaccount_transfer key repeat
portfolio.netting               GET    /portfolio/subaccounts/netting                               get_subaccount_netting key
portfolio.update_netting           PUT    /portfolio/subaccounts/netting                               update_subaccount_netting key repeat
[communications]
communications.id               GET    /communications/id                                           get_communications_id key
communications.rfqs             GET    /communications/rfqs                                         get_rfqs key
communications.rfq              GET    /communications/rfqs/{rfq_id}                                get_rfq key
communications.create_rfq       POST   /communications/rfqs                                         create_rfq key
communications.delete_rfq       DELETE /communications/rfqs/{rfq_id}                                delete_rfq key repeat
communications.quotes           GET    /communications/quotes                                       get_quotes key
communications.quote            GET    /communications/rfqs/{rfq_id}/quotes/{quote_id}              get_rfq_quote key 2
communications.quote            GET    /communications/quotes/{quote_id}                            get_quote key 2
communications.create_quote     POST   /communications/quotes                                       create_quote key 2
communications.accept_quote     PUT    /communications/rfqs/{rfq_id}/quotes/{quote_id}/accept       accept_rfq_quote key
communications.accept_quote     PUT    /communications/quotes/{quote_id}/accept                     accept_quote key
communications.confirm_quote    PUT    /communications/rfqs/{rfq_id}/quotes/{quote_id}/confirm      confirm_rfq_quote key
communications.confirm_quote    PUT    /communications/quotes/{quote_id}/confirm                    confirm_quote key
communications.delete_quote     DELETE /communications/rfqs/{rfq_id}/quotes/{quote_id}              delete_rfq_quote key 2 repeat
communications.delete_quote     DELETE /communications/quotes/{quote_id}                            delete_quote key 2 repeat
communications.block_trades     GET    /communications/block-trade-proposals                        get_block_trade_proposals key
communications.propose_block_trade POST /communications/block-trade-proposals                       propose_block_trade key
communications.accept_block_trade POST /communications/block-trade-proposals/{block_trade_proposal_id}/accept accept_block_trade_proposal key
communications.rfq_batches      GET    /communications/rfq_batches                                  get_rfq_batches key unverified
communications.rfq_batch        GET    /communications/rfq_batches/{rfq_batch_id}                   get_rfq_batch key unverified
communications.create_rfq_batch POST   /communications/rfq_batches                                  create_rfq_batch key unverified
communications.delete_rfq_batch DELETE /communications/rfq_batches/{rfq_batch_id}                   delete_rfq_batch key repeat unverified
communications.accept_rfq_batch PUT    /communications/rfq_batches/{rfq_batch_id}/accept            accept_rfq_batch key unverified
communications.best_quotes      GET    /communications/rfq_batches/{rfq_batch_id}/best_quotes       get_rfq_batch_best_quotes key unverified
communications.batch_quotes     GET    /communications/rfq_batches/{rfq_batch_id}/quotes            get_rfq_batch_quotes key unverified
communications.create_batch_quote POST /communications/rfq_batches/{rfq_batch_id}/quotes            create_rfq_batch_quote key unverified
communications.delete_batch_quote DELETE /communications/rfq_batches/{rfq_batch_id}/quotes/{quote_id} delete_rfq_batch_quote key repeat unverified
communications.confirm_batch_quote PUT /communications/rfq_batches/{rfq_batch_id}/quotes/{quote_id}/confirm confirm_rfq_batch_quote key unverified
[account]
account.limits                  GET    /account/limits                                              get_account_api_limits key
account.endpoint_costs          GET    /account/endpoint_costs                                      get_account_endpoint_costs
account.volume_progress         GET    /account/api_usage_level/volume_progress                     get_account_api_usage_level_volume_progress key
account.upgrade                 POST   /account/api_usage_level/upgrade                             upgrade_account_api_usage_level key 30
[api_keys]
api_keys.list                   GET    /api_keys                                                    get_api_keys key
api_keys.create                 POST   /api_keys                                                    create_api_key key
api_keys.generate               POST   /api_keys/generate                                           generate_api_key key
api_keys.delete                 DELETE /api_keys/{api_key}                                          delete_api_key key repeat
[fcm]
fcm.fills                       GET    /fcm/fills                                                   get_fcm_fills key
fcm.orders                      GET    /fcm/orders                                                  get_fcm_orders key
fcm.positions                   GET    /fcm/positions                                               get_fcm_positions key
fcm.transfer_position           POST   /fcm/positions/transfers                                     create_fcm_position_transfer key
fcm.subtraders                  GET    /fcm/subtraders                                              list_fcm_subtraders key
fcm.create_subtrader            POST   /fcm/subtraders                                              create_fcm_subtrader key
fcm.blocked_categories          GET    /fcm/subtraders/blocked_categories                           get_fcm_subtrader_blocked_categories key
fcm.update_blocked_categories      PUT    /fcm/subtraders/blocked_categories                           update_fcm_subtrader_blocked_categories key repeat
fcm.daily_cap                   GET    /fcm/subtraders/event_contract_daily_cap                     get_fcm_event_contract_daily_cap key
fcm.update_daily_cap               PUT    /fcm/subtraders/event_contract_daily_cap                     update_fcm_event_contract_daily_cap key repeat
fcm.delete_daily_cap            DELETE /fcm/subtraders/event_contract_daily_cap                     delete_fcm_event_contract_daily_cap key repeat
"""  # noqa: E501 - a row is a row
_DEFAULT_COST = 10.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: the exchange's name for it, its place on the client (`markets.one`), and what a request of it costs."""

    operation: str
    name: str
    family: str
    method: str
    path: str
    public: bool
    cost: float
    each: bool
    repeat: bool
    verified: bool


@cache
def table() -> dict[str, Operation]:
    """All operations by the exchange's names for them."""
    made: dict[str, Operation] = {}
    family = ""
    for line in _TABLE.strip().splitlines():
        if line.startswith("["):
            family = line.strip("[]")
        else:
            row = _row(family, line.split())
            made[row.operation] = row
    return made


def _row(family: str, words: list[str]) -> Operation:
    name, method, path, operation, *marks = words
    costs = [float(mark) for mark in marks if mark.isdigit()]
    return Operation(
        operation=operation,
        name=name,
        family=family,
        method=method,
        path=path,
        public="key" not in marks,
        cost=costs[0] if costs else _DEFAULT_COST,
        each="each" in marks,
        repeat="repeat" in marks,
        verified="unverified" not in marks,
    )


def call(operation: str, params: Params = (), *, body: bytes | None = None, items: int = 1, **path: str) -> Call:
    """A request of an operation: its method, path, cost and key as the table says; `items` are those of a batch."""
    row = table()[operation]
    filled = row.path.format(**{name: segment(value) for name, value in path.items()})
    cost = row.cost * items if row.each else row.cost
    key, counted = not row.public, items if row.each else 1
    return Call(operation, filled, params, row.method, cost, body, auth=key, repeat=row.repeat, items=counted)


def frame() -> pl.DataFrame:
    """All operations as a frame; see `AsyncKalshi.operations`."""
    import polars as pl

    names = ("method", "path", "family", "name", "operation", "public", "cost", "verified")
    return pl.DataFrame({name: [getattr(row, name) for row in table().values()] for name in names})
