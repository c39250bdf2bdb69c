-- Version 6: what was pruned, so that rows that were taken out on purpose are not taken for lost ones.

-- name: the table; run_id: whose rows they were, empty where its rows name none; before: rows older than that went; rows: how many
CREATE TABLE pruned (
    name VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    rows BIGINT NOT NULL,
    before TIMESTAMPTZ NOT NULL,
    time TIMESTAMPTZ NOT NULL
);
