"""Your own account: brought into the store, and what it holds and made, explained to the last digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import frames
from kalshi_lab.clock import When, between
from kalshi_lab.errors import LabError
from kalshi_lab.kalshi.named import batches
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.portfolio import held, summary, tax, views
from kalshi_lab.portfolio import ledger as books
from kalshi_lab.portfolio import sync as syncing
from kalshi_lab.portfolio.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.portfolio.explanation import Explanation
    from kalshi_lab.portfolio.ledger import Ledger
    from kalshi_lab.portfolio.lots import Method
    from kalshi_lab.portfolio.reconciliation import Reconciliation
    from kalshi_lab.portfolio.summary import Summary
    from kalshi_lab.portfolio.sync import PortfolioSync
    from kalshi_lab.portfolio.views import By, ProfitAndLoss
    from kalshi_lab.store import Store

QUOTE: Final[dict[str, Any]] = {"ticker": pl.String, "yes_bid": pl.Decimal(9, 6), "yes_ask": pl.Decimal(9, 6)}
NAMES: Final = """
SELECT m.ticker, m.event_ticker, coalesce(m.series_ticker, e.series_ticker) AS series_ticker
FROM markets AS m LEFT JOIN events AS e USING (event_ticker)
"""
THESES: Final = "SELECT DISTINCT ticker, name AS thesis FROM thesis_markets"
# settlements age out of the exchange's answers; what a market paid does not
RESULTS: Final = """
SELECT ticker, event_ticker, coalesce(settlement_ts, close_time) AS settled_time, settlement_value,
       CASE WHEN result <> '' THEN result WHEN settlement_value IS NULL THEN 'void' ELSE 'scalar' END AS market_result
FROM results WHERE list_contains($1, ticker) AND settlement_ts IS NOT NULL
"""


class AsyncLabPortfolio:
    """Your own account in the store: `sync` it, look at `positions`, `pnl` and `summary`, `explain` a figure, `reconcile` it.

    All of it needs a key, and reads what `sync` has kept; only `positions` and `summary` ask the exchange, for prices.
    """

    def __init__(self, kalshi: AsyncKalshi, store: Store, clock: Clock) -> None:
        self._kalshi, self._store, self._clock = kalshi, store, clock

    @property
    def account(self) -> str:
        """The name under which the store keeps this account: a hash of its environment and key. Raises UsageError without a key."""
        return syncing.account_of(self._kalshi)

    async def sync(
        self,
        what: str | Sequence[str] | None = None,
        *,
        since: When | None = None,
        full: bool = False,
        progress: bool | None = None,
    ) -> PortfolioSync:
        """Bring the account into the store: what is new of its fills, orders, settlements and money moved, and a look at what it holds.

        what: some of subaccounts, balances, positions, fills, orders, settlements, deposits, withdrawals, shard_transfers and
        subaccount_transfers; all where none is named. since: how far back a first sync reaches. full: read everything again. Live and
        historical records come as one; what is known is not stored twice. A part that fails is named in the result, and the rest is done.
        Raises UsageError for a part that is none, or where this session has no key.
        """
        return await syncing.sync(
            self._kalshi, self._store, self._clock, what=what, since=since, full=full, progress=progress
        )

    async def fills(
        self, tickers: str | Iterable[str] | None = None, *, since: When | None = None, until: When | None = None, exact: bool = False
    ) -> pl.DataFrame:  # fmt: skip
        """Executions that are kept, oldest first: the columns of `Fill`; Float64 dollars and contracts, Decimal with `exact=True`.

        Raises UsageError for a malformed ticker or a time that is none.
        """
        start, end = between(since, until, now=self._clock.now())
        return await held.fills(self._store, self.account, tickers=tickers, since=start, until=end, exact=exact)

    async def orders(
        self, tickers: str | Iterable[str] | None = None, *, since: When | None = None, until: When | None = None, exact: bool = False
    ) -> pl.DataFrame:  # fmt: skip
        """Orders that are kept, oldest first, as last seen: the columns of `Order`.

        Raises UsageError for a malformed ticker or a time that is none.
        """
        start, end = between(since, until, now=self._clock.now())
        return await held.orders(self._store, self.account, tickers=tickers, since=start, until=end, exact=exact)

    async def settlements(
        self, tickers: str | Iterable[str] | None = None, *, since: When | None = None, until: When | None = None, exact: bool = False
    ) -> pl.DataFrame:  # fmt: skip
        """Markets that paid out, oldest first: the columns of `Settlement`.

        Raises UsageError for a malformed ticker or a time that is none.
        """
        start, end = between(since, until, now=self._clock.now())
        return await held.settlements(self._store, self.account, tickers=tickers, since=start, until=end, exact=exact)

    async def balances(
        self, *, since: When | None = None, until: When | None = None, exact: bool = False
    ) -> pl.DataFrame:
        """The looks at the cash that are kept, oldest first.

        Columns: looked_at Datetime(us, UTC), subaccount_number, exchange_index Int64 (null: all of them), balance, portfolio_value
        Float64 dollars, Decimal with `exact=True`. Raises UsageError for a time that is none.
        """
        start, end = between(since, until, now=self._clock.now())
        return await held.balances(self._store, self.account, since=start, until=end, exact=exact)

    async def ledger(self, *, method: Method = "fifo") -> Ledger:
        """Lots, what closed them, and what that made, exact; see `kl.ledger`.

        A market whose settlement is not kept is closed at the result that the store knows of it, from `lab.sync("markets")`.
        """
        fills = await held.fills(self._store, self.account)
        looks = await held.positions(self._store, self.account)
        return books.ledger(
            fills, await self._paid(fills), positions=looks.with_columns(time=pl.col("looked_at")), method=method
        )

    async def _paid(self, fills: pl.DataFrame) -> pl.DataFrame:
        """Settlements, and the results of markets that have none."""
        own = await held.settlements(self._store, self.account)
        missing = sorted(set(fills["ticker"].to_list()) - set(own["ticker"].to_list()))
        if not missing or self._store.is_new:
            return own
        known = await self._store.read(RESULTS, [missing])
        return own if known.is_empty() else pl.concat([own, known], how="diagonal_relaxed")

    async def positions(self, *, method: Method = "fifo", exact: bool = False) -> pl.DataFrame:
        """What is held, at the price at which it could be sold now and at the middle of the quotes.

        Columns (`kalshi_lab.portfolio.views.positions` says more): subaccount_number, ticker, event_ticker, side, contracts,
        average_price, cost, fees, bid, mid, value, unrealized, value_mid, unrealized_mid, complete; Float64 dollars and contracts, Decimal
        with `exact=True`. Prices are the exchange's of this moment; where it does not answer they are null, and so is what rests on them.
        Raises UsageError for a method that is none.
        """
        made = await self._held(await self.ledger(method=method))
        return made if exact else frames.floats(made)

    async def _held(self, ledger: Ledger) -> pl.DataFrame:
        return views.positions(ledger, await self._quotes(ledger.open["ticker"].unique().sort().to_list()))

    async def _quotes(self, tickers: list[str]) -> pl.DataFrame:
        found = [pl.DataFrame(schema=QUOTE)]
        for asked in batches(tickers):
            try:
                page = await self._kalshi.markets.list(tickers=asked, limit=len(asked)).frame(exact=True)
            except LabError:  # a position without a price is still a position
                continue
            found.append(page.select(pl.col(name).cast(kind) for name, kind in QUOTE.items()))
        return pl.concat(found)

    async def pnl(self, by: By = "total", *, method: Method = "fifo", zone: str = "UTC") -> ProfitAndLoss:
        """What closed, summed up by "total", "ticker", "event", "series", "thesis", "day", "week", "month" or "year".

        See `kl.ProfitAndLoss` for the columns.
        Events and series are those that the store knows (`lab.sync("markets", series=...)` brings them), theses those that name the market.
        """
        ledger = await self.ledger(method=method)
        names = None
        if by in {"event", "series", "thesis"}:
            names = await self._store.read(THESES if by == "thesis" else NAMES, [])
        return views.profit_and_loss(ledger, by, names=names, zone=zone)

    async def summary(self, *, method: Method = "fifo") -> Summary:
        """The account in a dozen figures: realised, unrealised, win rate, profit factor, drawdown, and what is not known.

        Raises UsageError for a method that is none.
        """
        ledger = await self.ledger(method=method)
        return summary.summary(ledger, await self._held(ledger))

    async def explain(self, ticker: str, *, method: Method = "fifo") -> Explanation:
        """How the figures of a market come about, down to its fills. Raises UsageError for a market that the account never traded."""
        return (await self.ledger(method=method)).explain(ticker)

    async def tax_lots(
        self, year: int | None = None, *, method: Method = "fifo", zone: str = "America/New_York"
    ) -> pl.DataFrame:
        """Closed lots in the columns of the US form 8949; see `kalshi_lab.portfolio.tax.tax_lots`. Write them with `.write_csv(path)`."""
        return tax.tax_lots(await self.ledger(method=method), year, zone=zone)

    async def reconcile(self) -> Reconciliation:
        """Our figures against the exchange's own as of its last looks, each difference with its reason; see `kl.Reconciliation`."""
        store, account = self._store, self.account
        cash = await held.balances(store, account)
        return reconcile(
            await held.fills(store, account),
            await held.settlements(store, account),
            await held.positions(store, account),
            balance=cash.filter(pl.col("subaccount_number").is_null() & pl.col("exchange_index").is_null()),
            deposits=await held.deposits(store, account),
            withdrawals=await held.withdrawals(store, account),
            orders=await held.orders(store, account),
        )


class LabPortfolio(Facade):
    """The blocking face of `AsyncLabPortfolio`."""

    _twin: AsyncLabPortfolio

    @property
    def account(self) -> str:
        """The name under which the store keeps this account. Raises UsageError without a key."""
        return self._twin.account

    sync = blocking(AsyncLabPortfolio.sync)
    fills = blocking(AsyncLabPortfolio.fills)
    orders = blocking(AsyncLabPortfolio.orders)
    settlements = blocking(AsyncLabPortfolio.settlements)
    balances = blocking(AsyncLabPortfolio.balances)
    ledger = blocking(AsyncLabPortfolio.ledger)
    positions = blocking(AsyncLabPortfolio.positions)
    pnl = blocking(AsyncLabPortfolio.pnl)
    summary = blocking(AsyncLabPortfolio.summary)
    explain = blocking(AsyncLabPortfolio.explain)
    tax_lots = blocking(AsyncLabPortfolio.tax_lots)
    reconcile = blocking(AsyncLabPortfolio.reconcile)
