"""Our figures against the exchange's own, each difference with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.portfolio.entries import PLACE, need, total
from kalshi_lab.portfolio.ledger import ledger

if TYPE_CHECKING:
    from kalshi_lab.portfolio.ledger import Ledger

MONEY: Final = pl.Decimal(38, 8)
FIGURES: Final = {
    "position": "position", "cost": "market_exposure", "gross": "realized_pnl", "fees": "fees_paid", "traded": "total_traded",
}  # fmt: skip
SIXTH: Final = 0.000001
AGREE, SILENT, LOST = "agrees", "the exchange does not say", "history is missing"
CUT, BOUND, UNEXPLAINED = "cut at the sixth decimal", "bound by resting orders", "unexplained"
UNPAID: Final = "the exchange leaves the settlement out"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Reconciliation(Result):
    """Our figures and the exchange's, side by side.

    frame(): a row for each figure of a market and subaccount, and one for the cash (without a ticker): subaccount_number, ticker, figure
    ("position", "cost", "gross" (realised), "fees", "traded", "cash"), ours, exchange, difference (ours less theirs; exact Decimal),
    reason: "agrees", "the exchange does not say", "history is missing" (contracts without a fill), "cut at the sixth decimal" (the
    fourth for cash), "bound by resting orders", "the exchange leaves the settlement out" of its realised profit, or "unexplained".
    """

    chart: ClassVar[str] = "reconciliation"

    @property
    def unexplained(self) -> pl.DataFrame:
        """The rows for whose difference there is no reason."""
        return self.table.filter(pl.col("reason") == UNEXPLAINED)

    @property
    def conclusion(self) -> str:
        """How many figures agree, and how many differ for no known reason."""
        agree, left = (self.table["reason"] == AGREE).sum(), self.unexplained.height
        return f"{agree:,} of {self.table.height:,} figures agree, {left:,} differ without a reason"


def reconcile(
    fills: pl.DataFrame,
    settlements: pl.DataFrame,
    positions: pl.DataFrame,
    *,
    balance: pl.DataFrame | None = None,
    deposits: pl.DataFrame | None = None,
    withdrawals: pl.DataFrame | None = None,
    orders: pl.DataFrame | None = None,
) -> Reconciliation:
    """Compare the ledger, with average cost as the exchange keeps it, with what the exchange says of itself.

    positions: as `lab.portfolio` keeps them: ticker, subaccount_number, position, market_exposure, realized_pnl, fees_paid, total_traded,
    looked_at; each market is compared as of its look. balance: looks at the cash of all shards and subaccounts together (looked_at,
    balance); with it the cash that deposits, withdrawals, lots and fees explain is compared as of the last look. orders: those that rest
    bind cash, which the exchange takes off the balance.
    """
    need("positions", positions, ("ticker", "position", "looked_at"))
    looks = positions.filter(pl.col("position").is_not_null()).with_columns(pl.col("subaccount_number").fill_null(0))
    looks = looks.sort("looked_at").unique(PLACE, keep="last", maintain_order=True)
    told = looks.select(*PLACE, "position", time="looked_at")
    done, paid = _before(fills, "created_time", looks), _before(settlements, "settled_time", looks)
    ours = ledger(done, paid, positions=told, method="average")
    rows = [*_markets(ours, looks)]
    if balance is not None and not balance.is_empty():
        made, said, unknown = _cash(fills, settlements, balance, deposits, withdrawals)
        reason = LOST if unknown and made != said else _cash_reason(made - said, orders)
        rows += [_row("cash", made, said, reason)]
    table = pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort(
        "ticker", "subaccount_number", "figure", nulls_last=True
    )
    basis = Basis(table.height, "figure", "each figure counts once", "as of the exchange's last look", "none")
    return Reconciliation(table=table, basis=basis)


_SCHEMA: Final[dict[str, Any]] = {
    "subaccount_number": pl.Int64, "ticker": pl.String, "figure": pl.String, "ours": MONEY, "exchange": MONEY, "difference": MONEY,
    "reason": pl.String,
}  # fmt: skip


def _before(rows: pl.DataFrame, time: str, looks: pl.DataFrame) -> pl.DataFrame:
    """Rows up to each market's look."""
    keyed = rows.with_columns(pl.col("subaccount_number").fill_null(0)) if "subaccount_number" in rows.columns else rows
    on = [name for name in PLACE if name in keyed.columns]
    return keyed.join(looks.select(*on, "looked_at").unique(on), on=on).filter(pl.col(time) <= pl.col("looked_at"))


def _row(figure: str, ours: Any, theirs: Any, reason: str, place: tuple[Any, Any] = (None, None)) -> tuple[Any, ...]:
    difference = None if ours is None or theirs is None else ours - theirs
    return *place, figure, ours, theirs, difference, reason


def _markets(ours: Ledger, looks: pl.DataFrame) -> list[tuple[Any, ...]]:
    both = looks.join(ours.table, on=PLACE, how="left", suffix="_ours").sort(PLACE)
    by_fill = ours.closings.filter(pl.col("how") == "fill").group_by(PLACE).agg(sold=pl.col("gross").sum())
    rows = []
    for row in both.join(by_fill, on=PLACE, how="left").iter_rows(named=True):
        known = row["complete"] is not None
        for figure, theirs in FIGURES.items():
            own = (row["position_ours"] if figure == "position" else row[figure]) if known else 0
            told = row.get(theirs)
            rows.append(_row(figure, own, told, _reason(figure, own, told, row), (row[PLACE[0]], row[PLACE[1]])))
    return rows


def _reason(figure: str, ours: Any, theirs: Any, row: dict[str, Any]) -> str:
    if theirs is None:
        return SILENT
    if ours is not None and ours == theirs:
        return AGREE
    if row["complete"] is False or ours is None:
        return LOST
    if figure in {"cost", "gross"} and abs(ours - theirs) <= SIXTH * (row["fills"] or 1):
        return CUT
    sold = row["sold"] or 0
    return UNPAID if figure == "gross" and row["settled_time"] is not None and sold == theirs else UNEXPLAINED


def _cash(
    fills: pl.DataFrame, settlements: pl.DataFrame, balance: pl.DataFrame, deposits: pl.DataFrame | None, withdrawals: pl.DataFrame | None
) -> tuple[Any, Any, bool]:  # fmt: skip
    """Cash as the records explain it, as the exchange said it at the last look, and whether profit or fees are partly unknown."""
    last = balance.sort("looked_at").tail(1)
    time, said = last["looked_at"][0], last["balance"][0]
    done = ledger(fills.filter(pl.col("created_time") <= time), settlements.filter(pl.col("settled_time") <= time))
    made = total(done.closings["gross"]) - total(done.open["cost"]) - total(done.table["fees"])
    for moved, sign in ((deposits, 1), (withdrawals, -1)):
        if moved is not None:
            applied = moved.filter(
                (pl.col("status") == "applied") & (pl.coalesce("finalized_ts", "created_ts") <= time)
            )
            cents = sign * int(applied["amount_cents"].sum()) - int(applied["fee_cents"].sum())
            made += Decimal(cents).scaleb(-2)
    unknown = bool(total(done.table["unknown"]) or done.table["fees"].null_count())
    return made, said, unknown


def _cash_reason(difference: Any, orders: pl.DataFrame | None) -> str:
    if abs(difference) < _SHOWN:
        return AGREE if difference == 0 else "cut at the fourth decimal"
    if orders is None:
        return UNEXPLAINED
    resting = orders.filter(pl.col("status") == "resting")
    own = pl.when(pl.coalesce("outcome_side", "side") == "yes").then("yes_price").otherwise("no_price")
    most = resting.select((own * pl.col("remaining_count")).sum()).item() or 0
    return BOUND if 0 < difference <= float(most) * _WITH_FEE else UNEXPLAINED


_SHOWN: Final = 0.0001  # the exchange cuts the balance there
_WITH_FEE: Final = 1.08  # a resting order binds its fee, too: at most 7% of its price
