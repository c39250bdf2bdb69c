-- Version 3: answers as they were received, kept where that was asked for, so that rows can be read again from them; and what collectors did.

-- key: run_id, walk, page; body is gzip
CREATE TABLE bodies (
    run_id VARCHAR NOT NULL,
    dataset VARCHAR NOT NULL,
    scope VARCHAR NOT NULL,
    walk VARCHAR NOT NULL,
    page BIGINT NOT NULL,
    request_id VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    body BLOB NOT NULL,
    time TIMESTAMPTZ NOT NULL
);

-- key: collector, round; what a collector did at a tick of its schedule: `scope` is what it was told to collect (JSON), `kind` whether it
-- brought a snapshot alone or also a sync of events, markets and results, `rows` how many it wrote, `skipped` how many ticks passed without a round before this one and why,
-- `error` what went wrong (empty: nothing)
CREATE TABLE rounds (
    collector VARCHAR NOT NULL,
    round BIGINT NOT NULL,
    scope VARCHAR NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL,
    kind VARCHAR NOT NULL,
    rows BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    skipped_because VARCHAR NOT NULL,
    error VARCHAR NOT NULL
);
