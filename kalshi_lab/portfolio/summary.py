"""An account in a dozen figures."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from kalshi_lab import markup
from kalshi_lab.portfolio.entries import total
from kalshi_lab.portfolio.explanation import plain
from kalshi_lab.portfolio.views import profit_and_loss

if TYPE_CHECKING:
    import polars as pl

    from kalshi_lab.portfolio.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What an account made and holds, exact dollars; what is not known is None, is in no sum, and is counted.

    realized: net of fees. unrealized: of what is held, at what it could be sold for, `unrealized_mid` at the middle of the quotes; of
    positions without a price or a cost it is unknown (`unpriced`). total: realized and unrealized; None where nothing of either is known.
    trades: closings (all that one fill or settlement closed in a market), of which wins and losses; win_rate, average_win, average_loss,
    profit_factor (None without losses). fees: all that were paid. orphans: contracts of which no opening is known.
    """

    realized: Decimal | None
    unrealized: Decimal | None
    unrealized_mid: Decimal | None
    total: Decimal | None
    fees: Decimal | None
    positions: int
    unpriced: int
    trades: int
    wins: int
    losses: int
    win_rate: float | None
    average_win: Decimal | None
    average_loss: Decimal | None
    profit_factor: float | None
    drawdown: Decimal | None
    return_on_capital: float | None
    orphans: Decimal

    def _facts(self) -> dict[str, str]:
        money = ("realized", "unrealized", "unrealized_mid", "total", "fees", "average_win", "average_loss", "drawdown")
        said = {name.replace("_", " "): _dollars(getattr(self, name)) for name in money}
        counts = {
            "positions": f"{self.positions} ({self.unpriced} of unknown value)",
            "trades": f"{self.trades} ({self.wins} won, {self.losses} lost)",
        }
        rates = {
            "win rate": "none" if self.win_rate is None else f"{self.win_rate:.1%}",
            "profit factor": "none" if self.profit_factor is None else f"{self.profit_factor:.2f}",
            "return on capital": "unknown" if self.return_on_capital is None else f"{self.return_on_capital:+.1%}",
        }
        return {**said, **counts, **rates, "contracts without an opening": str(self.orphans)}

    def __repr__(self) -> str:
        money = f"realised {_dollars(self.realized)}, unrealised {_dollars(self.unrealized)}"
        return f"<Summary {money}, {self.positions} positions, {self.trades} trades>"

    def _repr_html_(self) -> str:
        return markup.card("Portfolio", self._facts())


def _dollars(value: Decimal | None) -> str:
    return "unknown" if value is None else plain(round(value, 4))


def summary(ledger: Ledger, held: pl.DataFrame) -> Summary:
    """The figures of a ledger and of what it holds, as `positions` gives it."""
    made = profit_and_loss(ledger)
    row = made.table.row(0, named=True) if made.table.height else {}
    fees = ledger.table["fees"]
    known = held["unrealized"].count()
    unrealized, mid = (
        total(held[name]) if held[name].count() or held.is_empty() else None
        for name in ("unrealized", "unrealized_mid")
    )
    realized = ledger.net
    parts = [part for part in (realized, unrealized) if part is not None]
    return Summary(
        realized=realized, unrealized=unrealized, unrealized_mid=mid, total=sum(parts, Decimal(0)) if parts else None,
        fees=total(fees) if fees.count() == len(fees) else None, positions=held.height, unpriced=held.height - known,
        trades=row.get("closings", 0), wins=row.get("wins", 0), losses=row.get("losses", 0), win_rate=row.get("win_rate"),
        average_win=row.get("average_win"), average_loss=row.get("average_loss"), profit_factor=row.get("profit_factor"),
        drawdown=made.drawdown, return_on_capital=made.return_on_capital, orphans=total(ledger.table["unknown"]),
    )  # fmt: skip
