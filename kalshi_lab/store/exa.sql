-- key: id; money for searches and language models: reserved before a call at its worst case, settled from its answer
CREATE TABLE spend (
    id VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    run VARCHAR NOT NULL,
    part VARCHAR NOT NULL,
    payee VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    reserved DECIMAL(18,6) NOT NULL,
    cost DECIMAL(18,6),
    state VARCHAR NOT NULL,
    settled_at TIMESTAMPTZ,
    request_id VARCHAR
);

-- key: name; run or day: the most that may be spent, for every process that uses this store
CREATE TABLE caps (
    name VARCHAR NOT NULL,
    dollars DECIMAL(18,6) NOT NULL,
    time TIMESTAMPTZ NOT NULL
);

-- key: key; the hash of a request: what was paid for is not paid for again before it is stale
CREATE TABLE paid_answers (
    key VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    body BLOB NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    request_id VARCHAR,
    cost DECIMAL(18,6)
);

-- key: key; the hash of a task: written before the run is created, so that a run whose process died is found again
CREATE TABLE paid_runs (
    key VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    reservation VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR,
    status VARCHAR NOT NULL,
    checked_at TIMESTAMPTZ,
    body VARCHAR
);
