"""The exchange's own objects for members, as the plain values of its JSON and of its private channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.wire import DOLLAR, SECOND, count, moment, price

if TYPE_CHECKING:
    from kalshi_lab.sim.desk.ledger import Account, Position
    from kalshi_lab.sim.desk.market import Market
    from kalshi_lab.sim.desk.matching import Match
    from kalshi_lab.sim.desk.order import Group, Order

Json = dict[str, Any]
MILLISECOND = 1_000


def signed(value: int) -> str:
    """Contracts with two decimals, below zero too."""
    return f"-{count(-value)}" if value < 0 else count(value)


def money(value: int) -> str:
    """Dollars with six decimals."""
    whole, part = divmod(abs(value), SECOND)
    return f"{'-' if value < 0 else ''}{whole}.{part:06d}"


def balance(value: int) -> str:
    """Dollars with four decimals, cut."""
    return money(value - value % 100)[:-2]


def direction(*, buys: bool) -> Json:
    """Both words for a direction."""
    return {"outcome_side": "yes" if buys else "no", "book_side": "bid" if buys else "ask"}


def order_legacy(order: Order) -> Json:
    """The retired pair of words: selling is what closes a position."""
    side = "yes" if order.buys != order.closes else "no"
    return {"action": "sell" if order.closes else "buy", "side": side}


def _progress(order: Order) -> Json:
    return {
        "fill_count_fp": count(order.filled),
        "remaining_count_fp": count(order.left if order.status == "resting" else 0),
        "initial_count_fp": count(order.initial),
        "taker_fill_cost_dollars": money(order.taker_cost),
        "maker_fill_cost_dollars": money(order.maker_cost),
        "taker_fees_dollars": money(order.taker_fees),
        "maker_fees_dollars": money(order.maker_fees),
    }


def order(order: Order) -> Json:
    """An Order; expiry and group are left out where it has none."""
    made: Json = {
        "order_id": order.id,
        "user_id": order.owner,
        "client_order_id": order.client_id,
        "ticker": order.ticker,
        **order_legacy(order),
        **direction(buys=order.buys),
        **_progress(order),
        "type": "limit",
        "status": order.status,
        "yes_price_dollars": price(order.price),
        "no_price_dollars": price(DOLLAR - order.price),
        "created_time": moment(order.created),
        "last_update_time": moment(order.updated),
        "self_trade_prevention_type": order.prevention,
        "cancel_order_on_pause": order.cancel_on_pause,
        "subaccount_number": order.subaccount,
        "exchange_index": order.shard,
    }
    if order.group:
        made["order_group_id"] = order.group
    return made if order.expires is None else {**made, "expiration_time": moment(order.expires)}


def user_order(order: Order) -> Json:
    """The message of the channel user_orders."""
    made: Json = {
        "order_id": order.id,
        "user_id": order.owner,
        "ticker": order.ticker,
        "exchange_index": order.shard,
        "status": order.status,
        "side": order_legacy(order)["side"],
        "is_yes": order_legacy(order)["side"] == "yes",
        **direction(buys=order.buys),
        **_progress(order),
        "yes_price_dollars": price(order.price),
        "client_order_id": order.client_id,
        "self_trade_prevention_type": order.prevention,
        "created_time": moment(order.created),
        "created_ts_ms": order.created // MILLISECOND,
        "last_update_time": moment(order.updated),
        "last_updated_ts_ms": order.updated // MILLISECOND,
        "subaccount_number": order.subaccount,
    }
    if order.group:
        made["order_group_id"] = order.group
    if order.expires is not None:
        made.update(expiration_time=moment(order.expires), expiration_ts_ms=order.expires // MILLISECOND)
    return {**made, **({"last_update_reason": order.reason} if order.reason else {})}


def fill(order: Order, deal: Match, fee: int, at: int, *, trade: str, taker: bool, closes: bool) -> Json:
    """A Fill; `side` is the exposure gained also where a position is closed."""
    return {
        "fill_id": trade,
        "trade_id": trade,
        "exchange_index": order.shard,
        "order_id": order.id,
        "ticker": order.ticker,
        "market_ticker": order.ticker,
        "side": "yes" if order.buys else "no",
        "action": "sell" if closes else "buy",
        **direction(buys=order.buys),
        "count_fp": count(deal.count),
        "yes_price_dollars": price(deal.price),
        "no_price_dollars": price(DOLLAR - deal.price),
        "is_taker": taker,
        "created_time": moment(at),
        "fee_cost": money(fee),
        "subaccount_number": order.subaccount,
        "ts": at // SECOND,
    }


def user_fill(order: Order, listed: Json, held: int, at: int) -> Json:
    """The message of the channel fill, from the Fill and the position after it."""
    same = (
        "trade_id", "order_id", "market_ticker", "exchange_index", "is_taker", "side", "action", "outcome_side", "book_side",
        "yes_price_dollars", "count_fp", "fee_cost", "ts",
    )  # fmt: skip
    made = {name: listed[name] for name in same}
    made.update(client_order_id=order.client_id, purchased_side=listed["outcome_side"], post_position_fp=signed(held))
    return {**made, "ts_ms": at // MILLISECOND, "subaccount": order.subaccount}


def user_position(account: Account, position: Position, ticker: str, subaccount: int) -> Json:
    """The message of the channel market_positions."""
    return {
        "user_id": account.id,
        "market_ticker": ticker,
        "position_fp": signed(position.held),
        "position_cost_dollars": money(position.cost),
        "realized_pnl_dollars": money(position.realized),
        "fees_paid_dollars": money(position.fees),
        "position_fee_cost_dollars": money(position.held_fees),
        "volume_fp": count(position.volume),
        "subaccount": subaccount,
    }


def market_position(position: Position, ticker: str, shard: int) -> Json:
    """A MarketPosition."""
    return {
        "ticker": ticker,
        "exchange_index": shard,
        "total_traded_dollars": money(position.traded),
        "position_fp": signed(position.held),
        "market_exposure_dollars": money(position.cost),
        "realized_pnl_dollars": money(position.realized),
        "fees_paid_dollars": money(position.fees),
        "last_updated_ts": moment(position.updated),
    }


def group_update(group: Group, event: str, at: int) -> Json:
    """The message of the channel order_group_updates."""
    made: Json = {"event_type": event, "order_group_id": group.id, "ts_ms": at // MILLISECOND}
    return {**made, **({"contracts_limit_fp": count(group.limit)} if event in {"created", "limit_updated"} else {})}


def settlement(market: Market, before: Position, payout: int, value: int, at: int) -> Json:
    """A Settlement of what was held before it."""
    yes = before.held > 0
    return {
        "ticker": market.ticker,
        "exchange_index": market.shard,
        "event_ticker": market.event_ticker,
        "market_result": {0: "no", DOLLAR: "yes"}.get(value, "scalar"),
        "yes_count_fp": count(before.held if yes else 0),
        "yes_total_cost_dollars": money(before.cost if yes else 0),
        "no_count_fp": count(0 if yes else -before.held),
        "no_total_cost_dollars": money(0 if yes else before.cost),
        "revenue": payout // 10_000,
        "settled_time": moment(at),
        "fee_cost": money(before.fees),
        "value": value // 100,
    }
