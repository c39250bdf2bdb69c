"""A member of a small loopback exchange: rows that tests change, in pages of a few, cut by cutoffs that tests move."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import kalshi_lab as kl
from kalshi_lab.portfolio.sync import PortfolioSync, sync
from kalshi_lab.store import Store
from tests.fakes import FakeClock
from tests.kalshi.scripted import Answer, Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, Any]
KEY_ID = "the-key-of-this-member"
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
OLD = "2026-10-01T00:00:00Z"
CUTS = ("market_settled_ts", "trades_created_ts", "orders_updated_ts", "market_positions_last_updated_ts")


BALANCE = {
    "balance": 1234, "balance_dollars": "12.3456", "portfolio_value": 0, "updated_ts": 1795200000,
    "balance_breakdown": [{"exchange_index": 0, "balance": "12.3456"}, {"exchange_index": 1, "balance": "0.0000"}],
}  # fmt: skip


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def fill(number: int, at: datetime, **changes: Any) -> Row:
    return {
        "fill_id": f"f-{number}", "trade_id": f"f-{number}", "order_id": f"o-{number}", "ticker": "KXA-1", "market_ticker": "KXA-1",
        "side": "yes", "action": "buy", "outcome_side": "yes", "book_side": "bid", "count_fp": "1.50", "yes_price_dollars": "0.4200",
        "no_price_dollars": "0.5800", "is_taker": True, "fee_cost": "0.012300", "created_time": text(at), "ts": int(at.timestamp()),
        "subaccount_number": 0, "exchange_index": 0,
    } | changes  # fmt: skip


def order(
    number: int, created: datetime, status: str = "executed", updated: datetime | None = None, **changes: Any
) -> Row:
    return {
        "order_id": f"o-{number}", "client_order_id": f"c-{number}", "user_id": "u", "ticker": "KXA-1", "outcome_side": "yes",
        "book_side": "bid", "side": "yes", "action": "buy", "type": "limit", "status": status, "yes_price_dollars": "0.4200",
        "no_price_dollars": "0.5800", "initial_count_fp": "1.50", "fill_count_fp": "1.50" if status == "executed" else "0.00",
        "remaining_count_fp": "1.50" if status == "resting" else "0.00", "created_time": text(created),
        "last_update_time": text(updated or created), "subaccount_number": 0, "exchange_index": 0,
    } | changes  # fmt: skip


def position(ticker: str, held: str, **changes: Any) -> Row:
    return {
        "ticker": ticker, "position_fp": held, "market_exposure_dollars": "1.230000", "total_traded_dollars": "1.230000",
        "realized_pnl_dollars": "0.000000", "fees_paid_dollars": "0.010000", "last_updated_ts": OLD, "exchange_index": 0,
    } | changes  # fmt: skip


def settlement(ticker: str, at: datetime | None, **changes: Any) -> Row:
    return {
        "ticker": ticker, "event_ticker": ticker.rpartition("-")[0], "market_result": "yes", "yes_count_fp": "1.50",
        "yes_total_cost_dollars": "0.630000", "no_count_fp": "0.00", "no_total_cost_dollars": "0.000000", "revenue": 150, "value": 100,
        "fee_cost": "0.012300", "settled_time": at and text(at), "exchange_index": 0,
    } | changes  # fmt: skip


@dataclass
class Member:
    """What the exchange says of one member. `wrong` gives another answer to a request, or None."""

    fills: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    settlements: list[Row] = field(default_factory=list)
    open: list[Row] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)
    archived: list[Row] = field(default_factory=list)
    deposits: list[Row] = field(default_factory=list)
    subaccounts: list[int] | None = field(default_factory=lambda: [0])
    cutoffs: dict[str, str] = field(default_factory=lambda: dict.fromkeys(CUTS, OLD))
    per_page: int = 3
    wrong: Callable[[Asked], Answer | None] = lambda _asked: None

    def server(self) -> Scripted:
        return Scripted(self.answer)

    def answer(self, asked: Asked) -> Answer:
        return self.wrong(asked) or self._answer(asked)

    def _answer(self, asked: Asked) -> Answer:
        path, params = asked.path, asked.params
        name, archive = path.rpartition("/")[2], path.startswith("/historical")
        if name in {"balances", "netting"} and self.subaccounts is None:
            return Answer({"error": {"code": "forbidden", "message": "forbidden"}}, 403)
        answers: dict[str, Callable[[], Answer]] = {
            "cutoff": lambda: Answer(self.cutoffs),
            "user_data_timestamp": lambda: Answer({"as_of_time": text(NOW + timedelta(days=3650))}),
            "fills": lambda: self._page(
                "fills", self._timed(self.fills, params, "created_time", archive=archive), params
            ),
            "orders": lambda: self._page("orders", self._orders(params, archive=archive), params),
            "settlements": lambda: self._page(
                "settlements", self._timed(self.settlements, params, "settled_time"), params
            ),
            "positions": lambda: self._positions(params, archive=archive),
            "balance": lambda: Answer(BALANCE),
            "balances": lambda: Answer({"subaccount_balances": [_cash(number) for number in self.subaccounts or ()]}),
            "netting": lambda: Answer(
                {"netting_configs": [{"subaccount_number": 0, "enabled": True, "exchange_index": 0}]}
            ),
            "deposits": lambda: self._page("deposits", self.deposits, params),
            "withdrawals": lambda: Answer({"withdrawals": [], "cursor": ""}),
        }
        return answers.get(name, lambda: Answer({"transfers": [], "cursor": ""}))()

    def _timed(self, rows: list[Row], params: dict[str, str], name: str, *, archive: bool | None = None) -> list[Row]:
        low, high = int(params.get("min_ts", 0)), int(params.get("max_ts", 1 << 40))
        chosen = [row for row in rows if row[name] is None or low <= _at(row[name]) <= high]
        if archive is not None:
            chosen = [row for row in chosen if (_at(row[name]) < _at(self.cutoffs["trades_created_ts"])) == archive]
        if "subaccount" in params:
            chosen = [row for row in chosen if row.get("subaccount_number", 0) == int(params["subaccount"])]
        return sorted(chosen, key=lambda row: row[name] or "", reverse=True)

    def _orders(self, params: dict[str, str], *, archive: bool) -> list[Row]:
        cut = _at(self.cutoffs["orders_updated_ts"])
        return [
            row
            for row in self._timed(self.orders, params, "created_time")
            if params.get("status", row["status"]) == row["status"]
            and (row["status"] != "resting" and _at(row["last_update_time"]) < cut) == archive
        ]

    def _positions(self, params: dict[str, str], *, archive: bool) -> Answer:
        rows = self.archived if archive else self.settled if params.get("settlement_status") == "settled" else self.open
        rows = [row for row in rows if params.get("ticker", row["ticker"]) == row["ticker"]]
        rows = [row for row in rows if params.get("subaccount", "0") == "0"]
        page = self._page("market_positions", rows, params)
        return Answer({**page.body, "event_positions": []})

    def _page(self, key: str, rows: list[Row], params: dict[str, str]) -> Answer:
        start = int(params.get("cursor") or 0)
        following = str(start + self.per_page) if start + self.per_page < len(rows) else ""
        return Answer({key: rows[start : start + self.per_page], "cursor": following})


def _cash(number: int) -> Row:
    return {"subaccount_number": number, "exchange_index": 0, "balance": "1.0000", "updated_ts": 1795200000}


def _at(value: str) -> float:
    return datetime.fromisoformat(value).timestamp()


@dataclass
class Session:
    """A client of a member's server, a store, and a clock."""

    server: Scripted
    home: Path
    credentials: kl.Credentials = field(default_factory=lambda: kl.Credentials.generate(key_id=KEY_ID))
    clock: FakeClock = field(default_factory=lambda: FakeClock(start=NOW))

    @property
    def store(self) -> Store:
        return Store(self.home / "kalshi.duckdb")

    async def sync(self, **options: Any) -> PortfolioSync:
        settings = self.server.settings(attempts=1)
        async with kl.AsyncKalshi(settings=settings, credentials=self.credentials, exchange_clock=self.clock) as kalshi:
            return await sync(kalshi, self.store, self.clock, progress=False, **options)
