-- The store: one DuckDB file. Prices DECIMAL(9,6) dollars, counts DECIMAL(18,2) contracts, money DECIMAL(18,6) dollars, times UTC.
-- `extra` keeps fields that the exchange sent and this version does not know, as JSON. Natural keys, named above each table, are kept
-- unique by the loads themselves: an index would cost more than it saves at this size of rows.

CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
INSERT INTO meta VALUES ('schema_version', '1');

-- key: ticker
CREATE TABLE series (
    ticker VARCHAR NOT NULL,
    title VARCHAR,
    category VARCHAR,
    categories VARCHAR,
    tags VARCHAR,
    frequency VARCHAR,
    fee_type VARCHAR,
    fee_multiplier DOUBLE,
    settlement_sources VARCHAR,
    contract_url VARCHAR,
    contract_terms_url VARCHAR,
    product_metadata VARCHAR,
    additional_prohibitions VARCHAR,
    volume DECIMAL(18,2),
    last_updated_ts TIMESTAMPTZ,
    exchange_index BIGINT,
    extra VARCHAR,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: event_ticker
CREATE TABLE events (
    event_ticker VARCHAR NOT NULL,
    series_ticker VARCHAR,
    title VARCHAR,
    sub_title VARCHAR,
    category VARCHAR,
    mutually_exclusive BOOLEAN,
    collateral_return_type VARCHAR,
    strike_date TIMESTAMPTZ,
    strike_period VARCHAR,
    settlement_sources VARCHAR,
    product_metadata VARCHAR,
    last_updated_ts TIMESTAMPTZ,
    fee_type_override VARCHAR,
    fee_multiplier_override DOUBLE,
    available_on_brokers BOOLEAN,
    exchange_index BIGINT,
    extra VARCHAR,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: ticker; series_ticker is filled in where it is known
CREATE TABLE markets (
    ticker VARCHAR NOT NULL,
    event_ticker VARCHAR,
    market_type VARCHAR,
    title VARCHAR,
    subtitle VARCHAR,
    yes_sub_title VARCHAR,
    no_sub_title VARCHAR,
    status VARCHAR,
    result VARCHAR,
    yes_bid DECIMAL(9,6),
    yes_bid_size DECIMAL(18,2),
    yes_ask DECIMAL(9,6),
    yes_ask_size DECIMAL(18,2),
    no_bid DECIMAL(9,6),
    no_ask DECIMAL(9,6),
    last_price DECIMAL(9,6),
    previous_yes_bid DECIMAL(9,6),
    previous_yes_ask DECIMAL(9,6),
    previous_price DECIMAL(9,6),
    volume DECIMAL(18,2),
    volume_24h DECIMAL(18,2),
    open_interest DECIMAL(18,2),
    liquidity DECIMAL(18,6),
    notional_value DECIMAL(9,6),
    created_time TIMESTAMPTZ,
    updated_time TIMESTAMPTZ,
    open_time TIMESTAMPTZ,
    close_time TIMESTAMPTZ,
    expected_expiration_time TIMESTAMPTZ,
    expiration_time TIMESTAMPTZ,
    latest_expiration_time TIMESTAMPTZ,
    occurrence_datetime TIMESTAMPTZ,
    settlement_ts TIMESTAMPTZ,
    settlement_value DECIMAL(9,6),
    settlement_timer_seconds BIGINT,
    settlement_bounds_type VARCHAR,
    settlement_floor DECIMAL(9,6),
    expiration_value VARCHAR,
    can_close_early BOOLEAN,
    early_close_condition VARCHAR,
    fee_waiver_expiration_time TIMESTAMPTZ,
    strike_type VARCHAR,
    floor_strike DOUBLE,
    cap_strike DOUBLE,
    functional_strike VARCHAR,
    custom_strike VARCHAR,
    rules_primary VARCHAR,
    rules_secondary VARCHAR,
    mve_collection_ticker VARCHAR,
    mve_selected_legs VARCHAR,
    primary_participant_key VARCHAR,
    price_level_structure VARCHAR,
    price_ranges VARCHAR,
    is_provisional BOOLEAN,
    exchange_index BIGINT,
    extra VARCHAR,
    series_ticker VARCHAR,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: trade_id
CREATE TABLE trades (
    trade_id VARCHAR NOT NULL,
    ticker VARCHAR,
    created_time TIMESTAMPTZ,
    yes_price DECIMAL(9,6),
    no_price DECIMAL(9,6),
    count DECIMAL(18,2),
    taker_outcome_side VARCHAR,
    taker_book_side VARCHAR,
    taker_side VARCHAR,
    is_block_trade BOOLEAN,
    extra VARCHAR,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: ticker, interval_minutes, end_time
CREATE TABLE candlesticks (
    ticker VARCHAR NOT NULL,
    interval_minutes BIGINT,
    end_time TIMESTAMPTZ NOT NULL,
    price_open DECIMAL(9,6),
    price_high DECIMAL(9,6),
    price_low DECIMAL(9,6),
    price_close DECIMAL(9,6),
    price_mean DECIMAL(9,6),
    price_previous DECIMAL(9,6),
    price_min DECIMAL(9,6),
    price_max DECIMAL(9,6),
    yes_bid_open DECIMAL(9,6),
    yes_bid_high DECIMAL(9,6),
    yes_bid_low DECIMAL(9,6),
    yes_bid_close DECIMAL(9,6),
    yes_ask_open DECIMAL(9,6),
    yes_ask_high DECIMAL(9,6),
    yes_ask_low DECIMAL(9,6),
    yes_ask_close DECIMAL(9,6),
    volume DECIMAL(18,2),
    open_interest DECIMAL(18,2),
    extra VARCHAR,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: ticker; the outcome of a market, from the exchange's own record of it
CREATE TABLE results (
    ticker VARCHAR NOT NULL,
    event_ticker VARCHAR,
    result VARCHAR NOT NULL,
    settlement_value DECIMAL(9,6),
    close_time TIMESTAMPTZ,
    settlement_ts TIMESTAMPTZ,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: ticker, time; a row per change of a quote, and one with gone = true when a market leaves the listing that it was in
CREATE TABLE quotes (
    ticker VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    scope VARCHAR NOT NULL,
    status VARCHAR,
    yes_bid DECIMAL(9,6),
    yes_bid_size DECIMAL(18,2),
    yes_ask DECIMAL(9,6),
    yes_ask_size DECIMAL(18,2),
    last_price DECIMAL(9,6),
    volume DECIMAL(18,2),
    open_interest DECIMAL(18,2),
    gone BOOLEAN NOT NULL
);

-- key: scope, time; a row per look at a listing: how many markets it had, how many rows changed, whether it was read to its end
CREATE TABLE snapshots (
    time TIMESTAMPTZ NOT NULL,
    scope VARCHAR NOT NULL,
    markets BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    complete BOOLEAN NOT NULL,
    keyframe BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL
);

-- key: run_id, walk, page; a page is kept once its row stands here, in the same transaction as its data
CREATE TABLE ledger (
    run_id VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    scope VARCHAR NOT NULL,
    walk VARCHAR NOT NULL,
    page BIGINT NOT NULL,
    next_cursor VARCHAR NOT NULL,
    received BIGINT NOT NULL,
    stored BIGINT NOT NULL,
    duplicate BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    request_id VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL
);

-- rows that could not be read, as received
CREATE TABLE quarantine (
    dataset VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    request_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    raw VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL
);

-- key: name, version; every change of a thesis is a row
CREATE TABLE theses (
    name VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    because VARCHAR NOT NULL,
    status VARCHAR NOT NULL
);

-- key: name, version, ticker; what was thought of each market and what it cost at that moment (quoted_at), and its outcome once final
CREATE TABLE thesis_markets (
    name VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    ticker VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    probability DECIMAL(9,6) NOT NULL,
    quoted_at TIMESTAMPTZ NOT NULL,
    yes_bid DECIMAL(9,6),
    yes_ask DECIMAL(9,6),
    last_price DECIMAL(9,6),
    result VARCHAR,
    settlement_value DECIMAL(9,6)
);

-- key: alert_id; condition and last_look (what the last check saw of its markets) are JSON, so that new kinds need no new columns
CREATE TABLE alerts (
    alert_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    tickers VARCHAR[] NOT NULL,
    condition VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    checked_at TIMESTAMPTZ,
    last_look VARCHAR
);

-- key: alert_id, time; ticker and quote are null where a condition is about several markets
CREATE TABLE alert_events (
    alert_id VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    what VARCHAR NOT NULL,
    ticker VARCHAR,
    yes_bid DECIMAL(9,6),
    yes_ask DECIMAL(9,6),
    message VARCHAR NOT NULL
);
