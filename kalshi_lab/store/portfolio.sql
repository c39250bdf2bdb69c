-- An account: what it did, and looks at what it holds. `account` is a hash of the environment and the key's id, so that the records of two
-- accounts in one store never mix and no key's id is kept.

-- key: account, fill_id; an execution never changes
CREATE TABLE fills (
    fill_id VARCHAR NOT NULL,
    trade_id VARCHAR,
    order_id VARCHAR,
    ticker VARCHAR,
    market_ticker VARCHAR,
    outcome_side VARCHAR,
    book_side VARCHAR,
    side VARCHAR,
    action VARCHAR,
    count DECIMAL(18,2),
    yes_price DECIMAL(9,6),
    no_price DECIMAL(9,6),
    is_taker BOOLEAN,
    fee_cost DECIMAL(18,6),
    created_time TIMESTAMPTZ,
    subaccount_number BIGINT,
    exchange_index BIGINT,
    ts TIMESTAMPTZ,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, order_id; as last seen
CREATE TABLE orders (
    order_id VARCHAR NOT NULL,
    client_order_id VARCHAR,
    user_id VARCHAR,
    ticker VARCHAR,
    outcome_side VARCHAR,
    book_side VARCHAR,
    side VARCHAR,
    action VARCHAR,
    type VARCHAR,
    status VARCHAR,
    yes_price DECIMAL(9,6),
    no_price DECIMAL(9,6),
    initial_count DECIMAL(18,2),
    fill_count DECIMAL(18,2),
    remaining_count DECIMAL(18,2),
    taker_fill_cost DECIMAL(18,6),
    maker_fill_cost DECIMAL(18,6),
    taker_fees DECIMAL(18,6),
    maker_fees DECIMAL(18,6),
    created_time TIMESTAMPTZ,
    last_update_time TIMESTAMPTZ,
    expiration_time TIMESTAMPTZ,
    self_trade_prevention_type VARCHAR,
    order_group_id VARCHAR,
    cancel_order_on_pause BOOLEAN,
    subaccount_number BIGINT,
    exchange_index BIGINT,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, subaccount_number, ticker, settled_time; of one subaccount each, which the exchange does not say in the row
CREATE TABLE settlements (
    ticker VARCHAR NOT NULL,
    event_ticker VARCHAR,
    market_result VARCHAR,
    yes_count DECIMAL(18,2),
    yes_total_cost DECIMAL(18,6),
    no_count DECIMAL(18,2),
    no_total_cost DECIMAL(18,6),
    revenue_cents BIGINT,
    value_cents BIGINT,
    fee_cost DECIMAL(18,6),
    settled_time TIMESTAMPTZ NOT NULL,
    exchange_index BIGINT,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    subaccount_number BIGINT NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, id; as last seen
CREATE TABLE deposits (
    id VARCHAR NOT NULL,
    status VARCHAR,
    type VARCHAR,
    amount_cents BIGINT,
    fee_cents BIGINT,
    created_ts TIMESTAMPTZ,
    finalized_ts TIMESTAMPTZ,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, id; as last seen
CREATE TABLE withdrawals (
    id VARCHAR NOT NULL,
    status VARCHAR,
    type VARCHAR,
    amount_cents BIGINT,
    fee_cents BIGINT,
    created_ts TIMESTAMPTZ,
    finalized_ts TIMESTAMPTZ,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, transfer_id; as last seen
CREATE TABLE shard_transfers (
    transfer_id VARCHAR NOT NULL,
    source VARCHAR,
    destination VARCHAR,
    source_exchange_shard BIGINT,
    destination_exchange_shard BIGINT,
    amount DECIMAL(18,6),
    status VARCHAR,
    created_ts TIMESTAMPTZ,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, transfer_id
CREATE TABLE subaccount_transfers (
    transfer_id VARCHAR NOT NULL,
    from_subaccount BIGINT,
    to_subaccount BIGINT,
    amount_cents BIGINT,
    created_ts TIMESTAMPTZ,
    exchange_index BIGINT,
    extra VARCHAR,
    account VARCHAR NOT NULL,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);

-- key: account, subaccount_number, ticker, looked_at; a row for each change of a position, from one look to the next. settled: by which
-- listing it came, null where it was in none. gone: it left a complete answer, so nothing is held, and what it made of it is not known
CREATE TABLE positions (
    account VARCHAR NOT NULL,
    subaccount_number BIGINT NOT NULL,
    looked_at TIMESTAMPTZ NOT NULL,
    ticker VARCHAR NOT NULL,
    position DECIMAL(18,2),
    market_exposure DECIMAL(18,6),
    total_traded DECIMAL(18,6),
    realized_pnl DECIMAL(18,6),
    fees_paid DECIMAL(18,6),
    last_updated_ts TIMESTAMPTZ,
    exchange_index BIGINT,
    resting_orders_count BIGINT,
    extra VARCHAR,
    settled BOOLEAN,
    gone BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL
);

-- key: account, subaccount_number, looked_at; a look at the positions: how many were open and settled in it, how many rows changed,
-- whether all of it was read and could be read, and whether the settled ones were listed too
CREATE TABLE position_looks (
    account VARCHAR NOT NULL,
    subaccount_number BIGINT NOT NULL,
    looked_at TIMESTAMPTZ NOT NULL,
    positions BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    complete BOOLEAN NOT NULL,
    with_settled BOOLEAN NOT NULL,
    run_id VARCHAR NOT NULL
);

-- key: account, looked_at, subaccount_number, exchange_index; a look at the cash. Without a subaccount: as the exchange adds them up;
-- without a shard: of all shards together
CREATE TABLE balances (
    account VARCHAR NOT NULL,
    looked_at TIMESTAMPTZ NOT NULL,
    subaccount_number BIGINT,
    exchange_index BIGINT,
    balance DECIMAL(18,6),
    portfolio_value DECIMAL(18,6),
    updated_ts TIMESTAMPTZ,
    extra VARCHAR,
    run_id VARCHAR NOT NULL
);

-- key: account, subaccount_number; every subaccount that was ever listed; netting: whether its positions within an event free collateral
CREATE TABLE subaccounts (
    account VARCHAR NOT NULL,
    subaccount_number BIGINT NOT NULL,
    netting BOOLEAN,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);
