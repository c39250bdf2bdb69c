"""Made-up trades of resolved markets, with quotes, candlesticks, events and fees: as many as are asked for, the same each time."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab import Lab
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

MADE = """
CREATE TEMP TABLE made_markets AS
SELECT i AS id, 'KX' || chr((65 + i % 26)::INT) || chr((65 + (i // 26) % 26)::INT) || 'D' AS series,
       series || '-26NOV' || lpad((i % 30 + 1)::VARCHAR, 2, '0') || '-' || (i // 5)::VARCHAR AS event,
       event || '-T' || (10000 + i)::VARCHAR || '.99' AS ticker, 0.02 + 0.96 * ((hash(i) % 10000) / 10000.0) AS p,
       CASE WHEN (hash(i * 7 + 1) % 10000) / 10000.0 < p THEN 'yes' ELSE 'no' END AS result,
       TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_days((i % 60)::INT) AS opens,
       opens + to_days((1 + i % 11)::INT) AS closes FROM range({markets}) t(i);
INSERT INTO results BY NAME SELECT ticker, event AS event_ticker, result, closes AS close_time, closes AS settlement_ts
FROM made_markets;
INSERT INTO markets BY NAME SELECT ticker, event AS event_ticker, series AS series_ticker, opens AS open_time, closes AS close_time
FROM made_markets;
INSERT INTO events BY NAME SELECT DISTINCT event AS event_ticker, series AS series_ticker, 'Made up' AS category FROM made_markets;
INSERT INTO series BY NAME
SELECT series AS ticker, 'quadratic_with_maker_fees' AS fee_type, any_value(CASE WHEN id % 2 = 0 THEN 1.0 ELSE 0.5 END)
    AS fee_multiplier FROM made_markets GROUP BY series;
INSERT INTO quotes BY NAME
SELECT 'all' AS scope, ticker, opens + (closes - opens) * step / 20.0 AS time,
       (greatest(1, least(97, round(100 * p + step % 3))) / 100)::DECIMAL(9, 6)
       AS yes_bid, yes_bid + 0.02 AS yes_ask, yes_bid + 0.01 AS last_price, (step * 10)::DECIMAL(18, 2) AS volume, false AS gone
FROM made_markets, range(20) s(step);
INSERT INTO candlesticks BY NAME
SELECT ticker, 1440 AS interval_minutes, opens + to_days(step::INT) AS end_time, (round(100 * p) / 100)::DECIMAL(9, 6) AS yes_bid_close,
       yes_bid_close + 0.01 AS yes_ask_close, yes_bid_close AS price_close, 12.34 AS volume FROM made_markets, range(1, 4) s(step);
INSERT INTO trades BY NAME
SELECT 't' || lpad(i::VARCHAR, 12, '0') AS trade_id, ticker,
       opens + to_microseconds((life * (epoch_us(closes) - epoch_us(opens)))::BIGINT) AS created_time,
       (greatest(1, least(99, round(100 * (p + (hash(i * 5 + 2) % 1000003 / 1000003.0 - 0.5) * 0.3)))) / 100)::DECIMAL(9, 6) AS yes_price,
       1 - yes_price AS no_price, ((1 + floor((hash(i * 11 + 3) % 1000003 / 1000003.0) ** 4 * 50000)) / 100)::DECIMAL(18, 2) AS count,
       CASE WHEN hash(i * 13 + 4) % 10 < 6 THEN 'yes' ELSE 'no' END AS taker_outcome_side, taker_outcome_side AS taker_side,
       i % 1000 = 7 AS is_block_trade, 'made' AS run_id, TIMESTAMPTZ '2026-11-23 00:00:00+00' AS seen_at
FROM (SELECT i, hash(i * 3 + 1) % 1000003 / 1000003.0 AS life,
             ((hash(i) % 1000003 / 1000003.0) ** 3 * {markets})::INT % {markets} AS id FROM range({trades}) t(i))
JOIN made_markets USING (id)
ORDER BY created_time, trade_id;
DROP TABLE made_markets
"""
# The same kind of trades day by day, so that any number of them is made in the memory of one day.
FIRST = date(2024, 1, 1)
LISTED = """
CREATE TABLE made AS
SELECT i AS id, 'KX' || chr((65 + i % 26)::INT) || chr((65 + (i // 26) % 26)::INT) || 'D' AS series,
       series || '-D' || (i % {days})::VARCHAR || '-' || (i // {days} // 5)::VARCHAR AS event,
       event || '-T' || (10000 + i)::VARCHAR || '.99' AS ticker, 0.02 + 0.96 * ((hash(i) % 10000) / 10000.0) AS p,
       CASE WHEN (hash(i * 7 + 1) % 10000) / 10000.0 < p THEN 'yes' ELSE 'no' END AS result,
       (i % {days})::INT AS opens, (opens + 1 + i % 11)::INT AS closes FROM range({markets}) t(i)
"""
SETTLED = """
SELECT ticker, event AS event_ticker, result, DATE '{first}' + closes AS close_time FROM made ORDER BY ticker
"""
ONE_DAY = """
WITH alive AS MATERIALIZED (
    SELECT ticker, p, row_number() OVER (ORDER BY hash(id)) - 1 AS place, count(*) OVER () AS many
    FROM made WHERE opens <= {day} AND closes > {day}
)
SELECT 't' || lpad(i::VARCHAR, 12, '0') AS trade_id, ticker,
       TIMESTAMPTZ '{date} 00:00:00+00' + to_microseconds((hash(i * 3 + 1) % 86400000000)::BIGINT) AS created_time,
       (greatest(1, least(99, round(100 * (p + (hash(i * 5 + 2) % 1000003 / 1000003.0 - 0.5) * 0.3)))) / 100)::DECIMAL(9, 6) AS yes_price,
       (1 - yes_price)::DECIMAL(9, 6) AS no_price,
       ((1 + floor((hash(i * 11 + 3) % 1000003 / 1000003.0) ** 4 * 50000)) / 100)::DECIMAL(18, 2) AS count,
       CASE WHEN hash(i * 13 + 4) % 10 < 6 THEN 'yes' ELSE 'no' END AS taker_outcome_side, taker_outcome_side AS taker_side,
       i % 1000 = 7 AS is_block_trade, 'made' AS run_id, TIMESTAMPTZ '2026-11-23 00:00:00+00' AS seen_at
FROM (SELECT i, floor((hash(i) % 1000003 / 1000003.0) ** 3 * (SELECT any_value(many) FROM alive))::BIGINT AS place
      FROM range({low}, {high}) t(i))
JOIN alive USING (place) ORDER BY ticker, created_time, trade_id
"""


def write(folder: Path, trades: int, markets: int, days: int, *, owner: str = "main") -> Iterator[str]:
    """The files of a lake with made-up trades and the results of their markets, without a store; each file's path, once it is there."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = true")
        connection.execute(LISTED.format(days=days, markets=markets))
        whole = [("results", "", SETTLED.format(first=FIRST))]
        for day in range(days):
            low, high, when = trades * day // days, trades * (day + 1) // days, FIRST + timedelta(days=day)
            whole.append(("trades", f"date={when}", ONE_DAY.format(day=day, date=when, low=low, high=high)))
        for dataset, place, sql in whole:
            path = folder / dataset / f"owner={owner}" / place / "part.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)")
            yield str(path)


def fill(store: Store, trades: int, markets: int) -> None:
    """Put them into a store that holds nothing."""

    def work(connection: Connection) -> None:
        for statement in MADE.format(trades=trades, markets=markets).split(";\n"):
            connection.execute(statement)

    asyncio.run(store.write(work))


def names(lab: Lab, count: int) -> list[str]:
    """The markets with the most trades."""
    sql = "SELECT ticker FROM trades GROUP BY ticker ORDER BY count(*) DESC, ticker LIMIT $1"
    return lab.sql(sql, [count])["ticker"].to_list()
