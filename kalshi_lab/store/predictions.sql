-- key: id; what the research agent said of a market and what it rests on (report: JSON); never changed, a new look is a new row
CREATE TABLE predictions (
    id VARCHAR NOT NULL,
    ticker VARCHAR NOT NULL,
    event_ticker VARCHAR,
    time TIMESTAMPTZ NOT NULL,
    probability DECIMAL(9,6),
    confidence VARCHAR,
    yes_bid DECIMAL(9,6),
    yes_ask DECIMAL(9,6),
    method VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    verified BOOLEAN NOT NULL,
    cost DECIMAL(18,6),
    report VARCHAR NOT NULL
);
