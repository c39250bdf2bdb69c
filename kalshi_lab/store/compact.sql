-- Trades once more, in the order of markets and times and in whole numbers alone: made from `trades` and remade from it, no data of its
-- own, so archives leave it out. Questions over all trades read a tenth of the bytes, and meet markets by number instead of by name.

CREATE SCHEMA tape;

-- key: market; numbers from 0 without a hole
CREATE TABLE tape.markets (market INTEGER NOT NULL, ticker VARCHAR NOT NULL);

-- price in millionths of a dollar of YES, size in hundredths of a contract, time in microseconds since 1970; null as in `trades`;
-- yes: 1 where the taker bought YES, 0 NO, -1 in a block trade
CREATE TABLE tape.trades (market INTEGER NOT NULL, time BIGINT, price INTEGER, size BIGINT, yes TINYINT);

-- one row: what `trades` was like when this was made, by which it is known what is in it
CREATE TABLE tape.state (held BIGINT NOT NULL, pruned BIGINT NOT NULL, above BIGINT NOT NULL);
