"""The 70 commands of the earlier command line, each with the call that gives its answer as data.

`call` runs as it stands, in this order, on a simulated exchange, with the names of `desk.py`; `holds` looks at what it gave. What
a command has been merged into, or why it is gone, stands in `note`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

    Holds = Callable[[Any], object]


class Command(NamedTuple):
    """One command, the call in its place, what its answer must be like, and what is worth saying."""

    name: str
    call: str
    holds: Holds
    note: str = ""


def rows(*columns: str, least: int = 1) -> Holds:
    """The answer is a frame with these columns and so many rows at least."""
    return lambda found: (
        isinstance(found, pl.DataFrame) and set(columns) <= set(found.columns) and found.height >= least
    )


def some(found: Any) -> bool:
    """The answer has a frame, with a row at least."""
    return bool(found.frame().height)


COMMANDS = [
    # basics
    Command("version", "kl.__version__", lambda found: found.count(".") == 2),
    Command("status", "lab.status()", lambda found: found.trading_active is True),
    Command("status schedule", "lab.kalshi.exchange.schedule()", lambda found: found.standard_hours),
    Command(
        "status announcements",
        "lab.status().exchange_estimated_resume_time",
        lambda found: found is None,
        "the exchange took announcements away in July 2026; a halt and its end are told by its status and by every error in maintenance",
    ),
    Command("browse categories", "lab.kalshi.search.tags_by_category()", lambda found: "Climate and Weather" in found),
    Command("browse series", 'lab.series(category="Climate and Weather")', rows("ticker", "title", "volume")),
    Command("browse sports", "lab.kalshi.search.filters_by_sport()", lambda found: "Basketball" in repr(found)),
    Command("series get", "lab.one_series(series)", lambda found: found.fee_type and found.fee_multiplier is not None),
    Command("event list", 'lab.events(status="open", series=series)', rows("event_ticker", "title")),
    Command(
        "event get",
        "lab.event(event), lab.kalshi.events.metadata(event)",
        lambda found: found[0].markets and found[1],
        "what the exchange tells of the event beside it is a call of its own",
    ),
    Command(
        "event candlesticks",
        'lab.kalshi.events.candlesticks(event, "1h", since="7d", series=series)',
        rows("ticker", "interval_minutes", "volume"),
    ),
    Command("mve list", "lab.kalshi.events.multivariate(limit=50)", lambda found: found.frame().height),
    Command("mve collections", 'lab.kalshi.multivariate.list(status="open", limit=100)', some),
    Command("mve collection", "lab.kalshi.multivariate.one(collection)", lambda found: found.associated_events),
    # market
    Command("market get", "lab.market(ticker)", lambda found: found.created_time and found.open_time),
    Command("market orderbook", "lab.orderbook(ticker, depth=5)", lambda found: 0 < len(found.yes_bids) <= 5),
    Command(
        "market liquidity",
        "lab.liquidity(ticker), [lab.slippage(ticker, size) for size in (10, 50, 100, 250, 500)]",
        lambda found: found[0].spread is not None and len(found[1]) == 5,
    ),
    Command("market history", 'lab.candlesticks(ticker, "1h").tail(50)', rows("ticker", "interval_minutes", "volume")),
    Command("market list", 'lab.markets(status="open", series=series)', rows("ticker", "yes_bid", "event_ticker")),
    # the first syncs: what follows asks the store
    Command(
        "data init",
        "lab.store.statistics()",
        lambda found: found.frame().height,
        "a store is made when it is first used",
    ),
    Command(
        "data migrate",
        "lab.store.verify()",
        lambda found: found.ok,
        "a store of an older version is backed up and moved on when it is opened",
    ),
    Command("data snapshot", "lab.snapshot(series=series)", lambda found: found.changed > 0),
    Command("data sync-markets", 'lab.sync("markets", status="open", series=series)', lambda found: found.stored > 0),
    Command(
        "data sync-settlements", 'lab.sync("markets", status="settled", series=series)', lambda found: found.stored > 0
    ),
    Command("data sync-trades", 'lab.sync("trades", series=series, since="2d")', lambda found: found.stored > 0),
    Command("data collect", 'lab.collect(every="15m", series=series).stop()', lambda found: found.status.rounds == 1),
    Command("data export", 'lab.export(folder / "quotes.csv", "quotes")', rows("file", "rows", "bytes")),
    Command("data stats", "lab.store.statistics().frame()", rows("table", "rows")),
    Command("data prune", 'lab.store.prune(quotes="90d")', rows(least=1), "says what would go until `dry_run=False`"),
    Command(
        "data vacuum",
        "lab.store.vacuum()",
        lambda found: "can be won" in repr(found),
        "says what it would win until `dry_run=False`",
    ),
    Command(
        "market search",
        'lab.search("temperature", status="open", series=series, min_volume=0, max_spread=0.5, limit=20)',
        rows("ticker", "score"),
        "`open` and `active` both",
    ),
    # scan
    Command(
        "scan opportunities",
        '[lab.scan(kind, profile="tradeable", top=10) for kind in ("close_race", "high_volume", "wide_spread", "expiring")]',
        lambda found: len(found) == 4 and any(one.frame().height for one in found),
    ),
    Command("scan new-markets", 'lab.scan("new", within="3d")', some),
    Command("scan arbitrage", "lab.arbitrage(series=series)", lambda found: found.profit >= 0),
    Command("scan movers", 'lab.movers("24h", live=True)', lambda found: "ticker" in found.frame().columns),
    # analysis
    Command("analysis calibration", 'lab.calibration(series=series, horizon="1d")', lambda found: found.scores.height),
    Command("analysis metrics", "lab.metrics(ticker)", some),
    Command("analysis correlation", 'lab.correlation(series=series, start="2d", every="1h")', some),
    # research
    Command("research context", "lab.context(ticker, budget=0.05)", lambda found: some(found) and found.cost > 0),
    Command("research topic", 'lab.topic("How cold will New York be?", budget=0.02)', lambda found: found.answer),
    Command("research similar", 'lab.similar("https://weather.example/one", number=10, budget=0.05)', some),
    Command(
        "research deep",
        'lab.deep("How cold will New York be?", effort="low", budget=0.05, wait=60)',
        lambda found: found.is_done,
    ),
    Command(
        "research backtest",
        'lab.backtest(lambda view: [view.buy(one, 1) for one in view.quotes["ticker"][:1]], since="5d", every="12h", series=series)',
        lambda found: found.trades.height,
        "without a strategy it runs the theses that are kept",
    ),
    Command("research cache clear", "lab.clear_answers(stale_only=True)", lambda found: found >= 0),
    Command(
        "research thesis create",
        'lab.thesis("cold week", tickers=ticker, probability=0.4, because="An Arctic front is late.")',
        lambda found: found.status == "active" and found.markets[0].entry is not None,
        "prices are those of the moment; `lab.research(name)` looks for evidence",
    ),
    Command("research thesis list", "lab.theses()", rows("name", "ticker", "probability", "status")),
    Command("research thesis show", 'lab.thesis("cold week")', lambda found: found.because.startswith("An Arctic")),
    Command(
        "research thesis edit",
        'lab.thesis("cold week", probability=0.45, invalidation=[f"price {ticker} < 0.99"], note="The models moved.")',
        lambda found: found.version == 2,
    ),
    Command(
        "research thesis check-invalidation", 'lab.thesis("cold week").checks', lambda found: found[0].verdict == "met"
    ),
    Command(
        "research thesis resolve",
        'lab.thesis("cold week", status="abandoned")',
        lambda found: found.status == "abandoned",
        "results come from the exchange by themselves; what is given up is abandoned",
    ),
    Command(
        "research thesis suggest",
        "lab.edge({ticker: 0.9})",
        some,
        "declined as it was: templates are no analysis; `lab.scan` and `lab.edge` name what is worth a look",
    ),
    # news
    Command(
        "news track", 'lab.news.track(ticker, queries=["New York temperature"])', rows("target", "queries", "tickers")
    ),
    Command("news list-tracked", "lab.news.topics()", rows("target", "queries", "tickers")),
    Command("news collect", 'lab.news.collect(since="30d")', rows("target", "found", "new", "problem")),
    Command("news sentiment", "lab.news.sentiment(ticker)", lambda found: found.frame().columns),
    Command("news untrack", "lab.news.untrack(ticker)", lambda found: found is None),
    # portfolio
    Command("portfolio sync", "lab.portfolio.sync(progress=False)", lambda found: found.ok),
    Command("portfolio positions", "lab.portfolio.positions()", rows("ticker", "contracts", "value", "unrealized")),
    Command("portfolio pnl", 'lab.portfolio.pnl("month")', lambda found: "net" in found.frame().columns),
    Command(
        "portfolio balance", "lab.kalshi.portfolio.balance(), lab.portfolio.balances()", lambda found: found[1].height
    ),
    Command(
        "portfolio history", "lab.portfolio.fills(), lab.portfolio.ledger().closings", lambda found: found[0].height
    ),
    Command(
        "portfolio link",
        'lab.portfolio.pnl("thesis")',
        lambda found: "net" in found.frame().columns,
        "a thesis names its markets, and the account is joined by them",
    ),
    Command(
        "portfolio suggest-links",
        'lab.theses().join(lab.portfolio.positions(), on="ticker", how="inner")',
        rows("name", "ticker", least=0),
        "nothing to suggest: the join is by ticker",
    ),
    # agent
    Command("agent research", 'lab.investigate(ticker, mode="standard", dry_run=True).plan()', rows(least=1)),
    Command("agent analyze", "lab.investigate(ticker, budget=0.25)", lambda found: found.frame().height),
    # alerts
    Command(
        "alerts add",
        "lab.alerts.add(kl.below(ticker, 0.99)), lab.alerts.add(kl.volume_above(ticker, 10**9)), "
        "lab.alerts.add(kl.spread_above(ticker, 0.5)), lab.alerts.add(kl.sentiment_shifts(ticker, 0.5))",
        lambda found: len(set(found)) == 4,
    ),
    Command("alerts list", "lab.alerts.list()", rows("alert_id", "condition", "state", least=4)),
    Command(
        "alerts monitor",
        'lab.alerts.send_to(kl.ToFile(folder / "alerts.jsonl")), lab.alerts.start(every="1m").stop(), lab.alerts.check()',
        lambda found: found[2].height == 1,
        "in the background, once, to files, webhooks and services; each event once, in whichever process",
    ),
    Command(
        "alerts remove",
        "[lab.alerts.remove(one) for one in lab.alerts.list()['alert_id']]",
        lambda found: len(found) == 4,
    ),
    Command(
        "alerts trim-log",
        "lab.alerts.history()",
        rows("alert_id", "what", "time"),
        "there is no log that grows: events are rows of the store",
    ),
]


def described() -> str:
    """The table as tests/README.md shows it."""
    lines = ["| command | call | note |", "|---|---|---|"]
    lines += [f"| `{one.name}` | `{one.call.replace('|', chr(92) + '|')}` | {one.note} |" for one in COMMANDS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(described(), end="")
