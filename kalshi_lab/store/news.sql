-- key: target; what is followed: a market or an event, by which queries, and up to when its news were read
CREATE TABLE news_topics (
    target VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    queries VARCHAR[] NOT NULL,
    tickers VARCHAR[] NOT NULL,
    claims VARCHAR[] NOT NULL,
    tracked BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    read_until TIMESTAMPTZ,
    looked_at TIMESTAMPTZ,
    problem VARCHAR
);

-- key: key; an article by the one form of its address; story is the key of the first copy of the same story that was seen
CREATE TABLE articles (
    key VARCHAR NOT NULL,
    story VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    title VARCHAR,
    domain VARCHAR NOT NULL,
    author VARCHAR,
    published TIMESTAMPTZ,
    first_seen TIMESTAMPTZ NOT NULL,
    passages VARCHAR[] NOT NULL,
    request_id VARCHAR
);

-- key: key, ticker; which markets an article concerns
CREATE TABLE article_markets (
    key VARCHAR NOT NULL,
    ticker VARCHAR NOT NULL,
    linked_at TIMESTAMPTZ NOT NULL
);

-- key: key, ticker, method; how an article leans towards YES of a market, -1 to 1, by which judge; null: it does not say
CREATE TABLE sentiments (
    key VARCHAR NOT NULL,
    ticker VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    score DOUBLE,
    certainty DOUBLE,
    judged_at TIMESTAMPTZ NOT NULL
);
