-- Version 3: answers as they were received, kept where that was asked for, so that rows can be read again from them.

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
