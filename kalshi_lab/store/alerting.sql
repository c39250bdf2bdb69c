-- repeat: whether it is armed again once its condition has ceased to hold, no sooner than cooldown seconds after it fired, and with a
-- hysteresis in dollars; sinks: where it is told, empty for all
ALTER TABLE alerts ADD COLUMN repeat BOOLEAN;
ALTER TABLE alerts ADD COLUMN cooldown BIGINT;
ALTER TABLE alerts ADD COLUMN hysteresis DECIMAL(9,6);
ALTER TABLE alerts ADD COLUMN expires_at TIMESTAMPTZ;
ALTER TABLE alerts ADD COLUMN sinks VARCHAR[];

-- one id for one event, whoever saw it
ALTER TABLE alert_events ADD COLUMN event_id VARCHAR;

-- key: alert_id, ticker; how far an alert is with each market of its pattern, the ticker being empty for one without; past is JSON
CREATE TABLE alert_states (
    alert_id VARCHAR NOT NULL,
    ticker VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    fired BIGINT NOT NULL,
    fired_at TIMESTAMPTZ,
    past VARCHAR,
    seen_at TIMESTAMPTZ NOT NULL
);

-- key: event_id, sink; state is pending, sent or failed; a row stands from the moment that the event does
CREATE TABLE alert_deliveries (
    event_id VARCHAR NOT NULL,
    alert_id VARCHAR NOT NULL,
    sink VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    attempts BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    error VARCHAR
);
