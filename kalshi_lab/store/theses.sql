-- Theses: what is thought and why, version by version.
ALTER TABLE theses ADD COLUMN claim VARCHAR;
ALTER TABLE theses ADD COLUMN confidence DECIMAL(9,6);
ALTER TABLE theses ADD COLUMN bull VARCHAR;
ALTER TABLE theses ADD COLUMN bear VARCHAR;
ALTER TABLE theses ADD COLUMN assumptions VARCHAR[];
ALTER TABLE theses ADD COLUMN invalidation VARCHAR[];
-- JSON: how each criterion of invalidation stood at this version
ALTER TABLE theses ADD COLUMN checks VARCHAR;
ALTER TABLE theses ADD COLUMN note VARCHAR;
-- JSON: what an imported thesis said that has no column here
ALTER TABLE theses ADD COLUMN extra VARCHAR;
ALTER TABLE thesis_markets ADD COLUMN event_ticker VARCHAR;
-- when the outcome was no longer open: trading had ended, or it was paid out before that
ALTER TABLE thesis_markets ADD COLUMN ended_at TIMESTAMPTZ;

-- key: name, version, position; evidence, with the version that brought it; stance is towards YES of the ticker, or of all where it is null
CREATE TABLE thesis_evidence (
    name VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    ticker VARCHAR,
    url VARCHAR,
    title VARCHAR,
    domain VARCHAR,
    published TIMESTAMPTZ,
    passage VARCHAR,
    stance VARCHAR,
    relevance DECIMAL(9,6),
    sha256 VARCHAR,
    page_sha256 VARCHAR,
    source VARCHAR NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL,
    extra VARCHAR
);
