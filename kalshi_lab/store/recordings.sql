-- Version 2: what the live stream brought. A frame is one message of the stream, numbered within its recording in the order of arrival,
-- so that (recording, frame) is the key of every row that came from it. `time` is the exchange's: when it sent the frame, or where that is
-- not said, when it happened; `received_at` is this machine's.

-- key: recording; kept_until is the last moment up to which everything that was sent is in the tables, or in `gaps`; frames is the number
-- of the last frame kept; while a recorder works it holds the lock of the file <recording>.recording beside the store
CREATE TABLE recordings (
    recording VARCHAR NOT NULL,
    channels VARCHAR[] NOT NULL,
    tickers VARCHAR[] NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    kept_until TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    frames BIGINT NOT NULL
);

-- key: recording, frame; a snapshot has levels ([[price, contracts], ...] as JSON, a list for each side), a delta a side, a price and a change
CREATE TABLE book_changes (
    recording VARCHAR NOT NULL,
    frame BIGINT NOT NULL,
    connection BIGINT NOT NULL,
    sid BIGINT,
    seq BIGINT,
    ticker VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    side VARCHAR,
    price DECIMAL(9,6),
    delta DECIMAL(18,2),
    yes_levels VARCHAR,
    no_levels VARCHAR
);

-- key: recording, frame; the top of a book and the totals of its market, as the exchange announces them
CREATE TABLE ticks (
    recording VARCHAR NOT NULL,
    frame BIGINT NOT NULL,
    ticker VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    price DECIMAL(9,6),
    yes_bid DECIMAL(9,6),
    yes_bid_size DECIMAL(18,2),
    yes_ask DECIMAL(9,6),
    yes_ask_size DECIMAL(18,2),
    last_trade_size DECIMAL(18,2),
    volume DECIMAL(18,2),
    open_interest DECIMAL(18,2),
    dollar_volume BIGINT,
    dollar_open_interest BIGINT,
    extra VARCHAR
);

-- key: recording, frame; changes of markets and events; details is the message as received
CREATE TABLE lifecycle (
    recording VARCHAR NOT NULL,
    frame BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    event_type VARCHAR,
    ticker VARCHAR,
    event_ticker VARCHAR,
    time TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    details VARCHAR NOT NULL
);

-- key: recording, frame; where something may be missing from `since` to `until`: the reason is sequence (numbers left out), connection (lost
-- and made again), subscription (ended by the exchange and made again), behind (this machine was too slow), unreadable (see quarantine), or
-- ended (the recorder stopped without notice). tickers and channel: null means all of the recording; lost: how many messages, where that is
-- known; backfilled: how many trades REST knew of that time and the table did not, null where nobody asked
CREATE TABLE gaps (
    recording VARCHAR NOT NULL,
    frame BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    channel VARCHAR,
    sid BIGINT,
    tickers VARCHAR[],
    expected BIGINT,
    received BIGINT,
    lost BIGINT,
    since TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    backfilled BIGINT
);
