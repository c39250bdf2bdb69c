-- key: id; one attempt to place, change or cancel: written before anything is sent, completed once it is known what became of it
CREATE TABLE order_attempts (
    id VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    account VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    verb VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    ticker VARCHAR,
    side VARCHAR,
    count DECIMAL(18,2),
    price DECIMAL(9,6),
    risk DECIMAL(18,6),
    added DECIMAL(18,6),
    client_order_id VARCHAR,
    order_id VARCHAR,
    body VARCHAR NOT NULL,
    checks VARCHAR NOT NULL,
    answer VARCHAR,
    error VARCHAR,
    settled_at TIMESTAMPTZ
);

-- key: account, mode, day; what an account was worth when a day (UTC) was first looked at, net of money moved in since
CREATE TABLE trading_days (
    account VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    day DATE NOT NULL,
    worth DECIMAL(18,6) NOT NULL,
    looked_at TIMESTAMPTZ NOT NULL
);
