-- Version 6: what was pruned, so that rows that were taken out on purpose are not taken for lost ones.

-- name: the table; owner: the run, or of snapshots the scope, whose rows they were, empty for others; before: rows older than that
-- went; rows: how many
CREATE TABLE pruned (
    name VARCHAR NOT NULL,
    owner VARCHAR NOT NULL,
    rows BIGINT NOT NULL,
    before TIMESTAMPTZ NOT NULL,
    time TIMESTAMPTZ NOT NULL
);
