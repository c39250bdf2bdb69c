"""Closed lots as the columns of the US form 8949, for a spreadsheet or an accountant. No advice: which form applies is theirs to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from kalshi_lab.portfolio.ledger import Ledger

YEARS = range(2021, 2100)  # the exchange opened in 2021
CENTS = pl.Decimal(38, 2)


def tax_lots(ledger: Ledger, year: int | None = None, *, zone: str = "America/New_York") -> pl.DataFrame:
    """Closed lots in the columns of form 8949, a row each, in the order in which they closed.

    Columns: "(a) Description of property", "(b) Date acquired", "(c) Date sold or disposed of" (dates in `zone`), "(d) Proceeds", "(e)
    Cost or other basis" (Decimal dollars to the cent, half up, with the fees of selling taken from the proceeds and those of buying in
    the basis), "(f) Code", "(g) Adjustment" (empty, for whoever fills it in), "(h) Gain or loss" ((d) minus (e)), "Term" ("short", or
    "long" for more than a year). What is not known stays empty. Write it with `.write_csv(path)`. year: of the closing. Raises
    UsageError for a year before 2021. Source: Internal Revenue Service, form 8949.
    """
    if year is not None and year not in YEARS:
        raise UsageError(f"{year} is no tax year of this exchange", hint="Give a year like 2026")
    acquired, sold = (pl.col(name).dt.convert_time_zone(zone).dt.date() for name in ("opened_time", "closed_time"))
    made = ledger.closings.with_columns(acquired=acquired, sold=sold)
    own = made if year is None else made.filter(pl.col("sold").dt.year() == year)
    out, basis = pl.col("proceeds") - pl.col("closing_fee"), pl.col("cost") + pl.col("opening_fee")
    lots = own.sort("closed_time", "ticker", maintain_order=True)
    cents = lots.with_columns(
        d=out.round(2, mode="half_away_from_zero").cast(CENTS), e=basis.round(2, mode="half_away_from_zero").cast(CENTS)
    )
    what = pl.concat_str(
        pl.col("contracts").cast(pl.String), pl.lit(" "), pl.col("side").str.to_uppercase(), pl.lit(" "), "ticker"
    )
    return cents.select(
        what.alias("(a) Description of property"),
        pl.col("acquired").alias("(b) Date acquired"),
        pl.col("sold").alias("(c) Date sold or disposed of"),
        pl.col("d").alias("(d) Proceeds"),
        pl.col("e").alias("(e) Cost or other basis"),
        pl.lit(None, pl.String).alias("(f) Code"),
        pl.lit(None, CENTS).alias("(g) Adjustment"),
        (pl.col("d") - pl.col("e")).alias("(h) Gain or loss"),
        pl.when(pl.col("sold") > pl.col("acquired").dt.offset_by("1y")).then(pl.lit("long"))
        .when(pl.col("acquired").is_not_null()).then(pl.lit("short")).alias("Term"),
    )  # fmt: skip
