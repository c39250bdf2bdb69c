"""How the figures of one market come about: every part of a lot with the fills that opened and closed it, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import markup, money
from kalshi_lab.errors import UsageError, unknown

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.portfolio.ledger import Ledger

SHOWN = (
    "contracts",
    "side",
    "opened_time",
    "opened_by",
    "entry_price",
    "closed_time",
    "how",
    "closed_by",
    "exit_price",
    "gross",
    "fees",
    "net",
)


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """One market's profit, part by part. `table` holds the exact rows of the ledger, `open` what is held still.

    frame(): a row for each part that was closed, in the order of time: contracts, side, opened_time, opened_by, entry_price,
    closed_time, how, closed_by, exit_price, gross, fees, net, and `running`, the net profit so far (null rows are not added). print()
    shows it as sentences.
    """

    ticker: str
    table: pl.DataFrame
    open: pl.DataFrame
    sums: pl.DataFrame

    def frame(self) -> pl.DataFrame:
        """The parts in order, exact."""
        return self.table.select(*SHOWN, running=pl.col("net").fill_null(0).cum_sum())

    @property
    def lines(self) -> list[str]:
        """The same in words, a line for each part, each lot that is held, and each subaccount's sum."""
        closed = [_closed(row) for row in self.table.iter_rows(named=True)]
        held = [_open(row) for row in self.open.iter_rows(named=True)]
        return [*closed, *held, *(_sum(row) for row in self.sums.iter_rows(named=True))]

    def __repr__(self) -> str:
        return "\n".join([f"<Explanation of {self.ticker}", *(f"  {line}" for line in self.lines)]) + ">"

    def _repr_html_(self) -> str:
        shown = self.frame()
        rows = [["" if cell is None else str(cell) for cell in row] for row in shown.iter_rows()]
        words = {f"{place + 1}": line for place, line in enumerate(self.lines[self.table.height :])}
        return markup.card(f"How {self.ticker} came about", words, markup.table(shown.columns, rows))


def explained(ledger: Ledger, ticker: str) -> Explanation:
    """A market's part of a ledger. Raises UsageError for a market that the ledger has not."""
    known = ledger.table["ticker"].unique().to_list()
    if ticker not in known:
        raise unknown("market of this ledger", ticker, known) if known else UsageError("the ledger has no market")
    own = pl.col("ticker") == ticker
    return Explanation(
        ticker,
        ledger.closings.filter(own).sort("closed_time", maintain_order=True),
        ledger.open.filter(own),
        ledger.table.filter(own),
    )


def plain(value: Decimal | None) -> str:
    """An amount in plain digits, or that it is not known."""
    return "unknown" if value is None else money.plain(value)


def _closed(row: dict[str, Any]) -> str:
    bought = f"{row['contracts']} {row['side'].upper()} opened at {plain(row['entry_price'])}"
    when = (
        f" ({row['opened_time']:%Y-%m-%d %H:%M:%S}, fill {row['opened_by']})"
        if row["opened_by"]
        else " (no fill known)"
    )
    by = f"fill {row['closed_by']}" if row["closed_by"] else row["how"]
    at = f", {row['closed_time']:%Y-%m-%d %H:%M:%S}" if row["closed_time"] else ""
    sums = f"gross {plain(row['gross'])} - fees {plain(row['fees'])} = net {plain(row['net'])}"
    return f"{bought}{when}, closed at {plain(row['exit_price'])} ({by}{at}): {sums}"


def _open(row: dict[str, Any]) -> str:
    by = f"fill {row['opened_by']}" if row["opened_by"] else "no fill known"
    paid = f"cost {plain(row['cost'])}, fees {plain(row['fees'])}"
    return f"{row['contracts']} {row['side'].upper()} held since {by} at {plain(row['entry_price'])}: {paid}"


def _sum(row: dict[str, Any]) -> str:
    account = f"subaccount {row['subaccount_number']}: " if row["subaccount_number"] else ""
    unknown_part = f"; {row['unknown']} contracts of unknown profit" if row["unknown"] else ""
    held = f"; {row['position']} held at a cost of {plain(row['cost'])}" if row["position"] else ""
    return f"{account}realised gross {plain(row['gross'])}, net {plain(row['net'])}, fees paid {plain(row['fees'])}{held}{unknown_part}"
