"""What the store holds of an account, as frames: what it did, and what it held when it was last looked at.

Every frame has the columns of the exchange's records, with fields that this version does not know as JSON in `extra`. Counts and money
are Decimal, or Float64 with `exact=False`; times are Datetime(us, UTC). An account of which nothing is kept gives frames of no rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import (
    Deposit,
    Fill,
    MarketPosition,
    Settlement,
    ShardTransfer,
    SubaccountTransfer,
    Withdrawal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from kalshi_lab.models.fields import Record
    from kalshi_lab.store import Store

TIME = pl.Datetime("us", "UTC")
PLACE = {"subaccount_number": pl.Int64()}
FILLS = """
SELECT * FROM fills WHERE account = $1 AND ($2 IS NULL OR list_contains($2, ticker)) AND ($3 IS NULL OR created_time >= $3)
  AND ($4 IS NULL OR created_time < $4) AND ($5 IS NULL OR subaccount_number = $5)
ORDER BY created_time, fill_id
"""
ORDERS = """
SELECT * FROM orders WHERE account = $1 AND ($2 IS NULL OR list_contains($2, ticker)) AND ($3 IS NULL OR created_time >= $3)
  AND ($4 IS NULL OR created_time < $4) AND ($5 IS NULL OR subaccount_number = $5)
ORDER BY created_time, order_id
"""
SETTLEMENTS = """
SELECT * FROM settlements WHERE account = $1 AND ($2 IS NULL OR list_contains($2, ticker)) AND ($3 IS NULL OR settled_time >= $3)
  AND ($4 IS NULL OR settled_time < $4) AND ($5 IS NULL OR subaccount_number = $5)
ORDER BY settled_time, ticker, subaccount_number
"""
# what the last whole look said of an open position is true as of that look, whenever it changed last
POSITIONS = """
WITH last AS (
    SELECT * FROM positions WHERE account = $1 AND ($2 IS NULL OR list_contains($2, ticker)) AND ($3 IS NULL OR looked_at <= $3)
      AND ($4 IS NULL OR subaccount_number = $4)
    QUALIFY row_number() OVER (PARTITION BY subaccount_number, ticker ORDER BY looked_at DESC) = 1
), looks AS (
    SELECT subaccount_number, max(looked_at) AS at FROM position_looks
    WHERE account = $1 AND complete AND ($3 IS NULL OR looked_at <= $3) GROUP BY subaccount_number
)
SELECT last.* EXCLUDE (looked_at), last.looked_at AS changed_at,
       CASE WHEN last.settled OR last.gone THEN last.looked_at ELSE greatest(last.looked_at, looks.at) END AS looked_at
FROM last LEFT JOIN looks USING (subaccount_number) ORDER BY subaccount_number, ticker
"""
POSITION_LOOKS = """
SELECT * FROM position_looks WHERE account = $1 AND ($2 IS NULL OR looked_at >= $2) AND ($3 IS NULL OR looked_at < $3)
ORDER BY looked_at, subaccount_number
"""
BALANCES = """
SELECT * FROM balances WHERE account = $1 AND ($2 IS NULL OR looked_at >= $2) AND ($3 IS NULL OR looked_at < $3)
ORDER BY looked_at, subaccount_number NULLS FIRST, exchange_index NULLS FIRST
"""
DEPOSITS = """
SELECT * FROM deposits WHERE account = $1 AND ($2 IS NULL OR created_ts >= $2) AND ($3 IS NULL OR created_ts < $3)
ORDER BY created_ts, id
"""
WITHDRAWALS = """
SELECT * FROM withdrawals WHERE account = $1 AND ($2 IS NULL OR created_ts >= $2) AND ($3 IS NULL OR created_ts < $3)
ORDER BY created_ts, id
"""
SHARD_TRANSFERS = """
SELECT * FROM shard_transfers WHERE account = $1 AND ($2 IS NULL OR created_ts >= $2) AND ($3 IS NULL OR created_ts < $3)
ORDER BY created_ts, transfer_id
"""
SUBACCOUNT_TRANSFERS = """
SELECT * FROM subaccount_transfers WHERE account = $1 AND ($2 IS NULL OR created_ts >= $2) AND ($3 IS NULL OR created_ts < $3)
ORDER BY created_ts, transfer_id
"""
SUBACCOUNTS = "SELECT * FROM subaccounts WHERE account = $1 ORDER BY subaccount_number"
HELD: dict[str, Any] = {
    **PLACE, **frames.schema(MarketPosition), "settled": pl.Boolean(), "gone": pl.Boolean(), "changed_at": TIME, "looked_at": TIME,
}  # fmt: skip
CASH: dict[str, Any] = {
    "looked_at": TIME, **PLACE, "exchange_index": pl.Int64(), "balance": pl.Decimal(18, 6), "portfolio_value": pl.Decimal(18, 6),
    "updated_ts": TIME, "extra": pl.String(),
}  # fmt: skip
LOOKS: dict[str, Any] = {
    "looked_at": TIME, **PLACE, "positions": pl.Int64(), "changed": pl.Int64(), "complete": pl.Boolean(), "with_settled": pl.Boolean(),
}  # fmt: skip


async def fills(
    store: Store, account: str, *, tickers: Iterable[str] | None = None, since: datetime | None = None, until: datetime | None = None,
    subaccount: int | None = None, exact: bool = True,
) -> pl.DataFrame:  # fmt: skip
    """Executions from `since` to before `until`, oldest first: the columns of Fill."""
    asked = [account, _listed(tickers), since, until, subaccount]
    return await _frame(store, FILLS, asked, _columns(Fill), exact=exact)


async def orders(
    store: Store, account: str, *, tickers: Iterable[str] | None = None, since: datetime | None = None, until: datetime | None = None,
    subaccount: int | None = None, exact: bool = True,
) -> pl.DataFrame:  # fmt: skip
    """Orders made from `since` to before `until`, oldest first, as last seen: the columns of Order."""
    asked = [account, _listed(tickers), since, until, subaccount]
    return await _frame(store, ORDERS, asked, _columns(Order), exact=exact)


async def settlements(
    store: Store, account: str, *, tickers: Iterable[str] | None = None, since: datetime | None = None, until: datetime | None = None,
    subaccount: int | None = None, exact: bool = True,
) -> pl.DataFrame:  # fmt: skip
    """Markets that paid out from `since` to before `until`, oldest first: the columns of Settlement, and subaccount_number."""
    asked = [account, _listed(tickers), since, until, subaccount]
    return await _frame(store, SETTLEMENTS, asked, _columns(Settlement) | PLACE, exact=exact)


async def positions(
    store: Store, account: str, *, tickers: Iterable[str] | None = None, as_of: datetime | None = None, subaccount: int | None = None,
    exact: bool = True,
) -> pl.DataFrame:  # fmt: skip
    """What the exchange said is held of each market when it was last looked at, now or `as_of` a moment; settled ones too.

    The columns of MarketPosition, and subaccount_number, settled, gone (it left a complete answer: nothing is held, and what it made is
    null), changed_at, and looked_at, the last look by which that is so.
    """
    return await _frame(store, POSITIONS, [account, _listed(tickers), as_of, subaccount], HELD, exact=exact)


async def position_looks(
    store: Store, account: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """The looks at the positions: looked_at, subaccount_number, positions (rows), changed, complete, with_settled (all were listed)."""
    return await _frame(store, POSITION_LOOKS, [account, since, until], LOOKS, exact=True)


async def balances(
    store: Store, account: str, *, since: datetime | None = None, until: datetime | None = None, exact: bool = True
) -> pl.DataFrame:
    """The looks at the cash in dollars, oldest first; a null subaccount or shard stands for all of them together.

    Columns: looked_at, subaccount_number, exchange_index, balance, portfolio_value (of the open positions), updated_ts, extra.
    """
    return await _frame(store, BALANCES, [account, since, until], CASH, exact=exact)


async def deposits(
    store: Store, account: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """Money that came in, oldest first, as last seen: the columns of Deposit, amounts in whole cents."""
    return await _frame(store, DEPOSITS, [account, since, until], _columns(Deposit), exact=True)


async def withdrawals(
    store: Store, account: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """Money that went out, oldest first, as last seen: the columns of Withdrawal, amounts in whole cents."""
    return await _frame(store, WITHDRAWALS, [account, since, until], _columns(Withdrawal), exact=True)


async def shard_transfers(
    store: Store, account: str, *, since: datetime | None = None, until: datetime | None = None, exact: bool = True
) -> pl.DataFrame:
    """Money moved between shards, oldest first: the columns of ShardTransfer, dollars."""
    return await _frame(store, SHARD_TRANSFERS, [account, since, until], _columns(ShardTransfer), exact=exact)


async def subaccount_transfers(
    store: Store, account: str, *, since: datetime | None = None, until: datetime | None = None
) -> pl.DataFrame:
    """Money moved between subaccounts, oldest first: the columns of SubaccountTransfer, amounts in whole cents."""
    return await _frame(store, SUBACCOUNT_TRANSFERS, [account, since, until], _columns(SubaccountTransfer), exact=True)


async def subaccounts(store: Store, account: str) -> pl.DataFrame:
    """The subaccounts that were ever listed: subaccount_number, netting (null where it is not known), seen_at."""
    return await _frame(store, SUBACCOUNTS, [account], {**PLACE, "netting": pl.Boolean(), "seen_at": TIME}, exact=True)


def _columns(record: type[Record]) -> dict[str, Any]:
    return dict(frames.schema(record))


def _listed(tickers: Iterable[str] | None) -> list[str] | None:
    return [tickers] if isinstance(tickers, str) else None if tickers is None else list(tickers)


async def _frame(store: Store, sql: str, asked: list[Any], schema: dict[str, Any], *, exact: bool) -> pl.DataFrame:
    made = pl.DataFrame(schema=schema) if store.is_new else (await store.read(sql, asked)).select(list(schema))
    return made if exact else frames.floats(made)
