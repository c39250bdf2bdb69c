-- key: dataset, subject, interval_minutes, since, complete; half-open stretches of time that were asked for (complete = false) or read to
-- their end (complete = true). subject: a market, a series, or '' for the whole exchange; interval_minutes: 0 but for candlesticks;
-- asked_at: what happened later is not in it; cutoff: where historical data began when the stretch had been read.
CREATE TABLE coverage (
    dataset VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    interval_minutes BIGINT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    complete BOOLEAN NOT NULL,
    asked_at TIMESTAMPTZ NOT NULL,
    cutoff TIMESTAMPTZ,
    run_id VARCHAR,
    seen_at TIMESTAMPTZ
);
