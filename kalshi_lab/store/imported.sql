-- Version 4: rows brought from elsewhere that have no table of their own here, whole, as JSON.

-- key: source, name, key
CREATE TABLE imported (
    source VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    row VARCHAR NOT NULL,
    time TIMESTAMPTZ NOT NULL
);
