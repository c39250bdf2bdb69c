-- The search index, made from other tables and remade from them: no data of its own, so backups need it and archives leave it out.

CREATE SCHEMA search;

-- key: doc; digest tells whether the text is still the one that was indexed, length is the sum of its weights
CREATE TABLE search.docs (
    doc INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    ticker VARCHAR NOT NULL,
    digest UBIGINT NOT NULL,
    length INTEGER NOT NULL
);

-- key: term, doc; weight counts the term in the text, more in titles than in rules
CREATE TABLE search.postings (
    term VARCHAR NOT NULL,
    doc INTEGER NOT NULL,
    weight INTEGER NOT NULL
);

-- key: kind; what its table was like when the index was last brought up to date
CREATE TABLE search.state (
    kind VARCHAR NOT NULL,
    held BIGINT NOT NULL,
    seen HUGEINT NOT NULL
);
