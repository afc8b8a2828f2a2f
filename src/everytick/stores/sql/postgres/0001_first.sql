-- What one tape says, as tables. Everything but `writer` is a pure function of the tape up to the checkpoint.
--
-- Keys lead with the stream and its time, so that new rows land at the end of the index: a key led by the venue's
-- random trade ids touches a page of its own for each row once the index outgrows memory.
-- NUMERIC without a scale keeps the digits as the venue wrote them: '105056.0' comes back as '105056.0'.
-- Times are nanoseconds UTC. `tape_offset` is the place on the tape of the frame that said so.
-- Texts sort by their bytes, so that a dump has one order on every server.

CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    venue TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    instrument TEXT COLLATE "C" NOT NULL,
    interval TEXT COLLATE "C" NOT NULL,
    UNIQUE (venue, kind, instrument, interval)
);

CREATE TABLE trades (
    stream INTEGER NOT NULL,
    ts_ns BIGINT NOT NULL,
    trade_id BIGINT NOT NULL,
    price NUMERIC NOT NULL,
    size NUMERIC NOT NULL,
    side TEXT NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    PRIMARY KEY (stream, ts_ns, trade_id)
);

CREATE TABLE candles (
    stream INTEGER NOT NULL,
    ts_open_ns BIGINT NOT NULL,
    ts_close_ns BIGINT NOT NULL,
    open NUMERIC NOT NULL,
    high NUMERIC NOT NULL,
    low NUMERIC NOT NULL,
    close NUMERIC NOT NULL,
    volume NUMERIC NOT NULL,
    trade_count BIGINT NOT NULL,
    state TEXT NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    PRIMARY KEY (stream, ts_open_ns)
);

CREATE TABLE quotes (
    stream INTEGER NOT NULL,
    ts_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    bid_price NUMERIC,
    bid_size NUMERIC,
    ask_price NUMERIC,
    ask_size NUMERIC,
    ts_recv_ns BIGINT NOT NULL,
    PRIMARY KEY (stream, ts_ns, tape_offset)
);

-- Levels are JSON: [[price, size, orders], ...], best first, numbers of the market as text. The type JSON (not
-- JSONB) keeps the text as it was written.
CREATE TABLE books (
    stream INTEGER NOT NULL,
    ts_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    bids JSON NOT NULL,
    asks JSON NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    PRIMARY KEY (stream, ts_ns, tape_offset)
);

CREATE TABLE mids (
    stream INTEGER NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    price NUMERIC NOT NULL,
    PRIMARY KEY (stream, ts_recv_ns, tape_offset)
);

-- A venue may write a funding rate of -0.0, and NUMERIC knows no negative zero: bit n of `minus_zeros` says that
-- the n-th number of the row, counted from open_interest = 0, was written with a minus.
CREATE TABLE contexts (
    stream INTEGER NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    open_interest NUMERIC NOT NULL,
    funding_rate NUMERIC NOT NULL,
    mark_price NUMERIC NOT NULL,
    oracle_price NUMERIC,
    mid_price NUMERIC,
    premium NUMERIC,
    day_notional_volume NUMERIC,
    previous_day_price NUMERIC,
    minus_zeros INTEGER NOT NULL,
    PRIMARY KEY (stream, ts_recv_ns, tape_offset)
);

-- What all watched accounts held at once. Positions are JSON: [[account, ts_ns, size, notional, account value], ...],
-- each with the venue's own time, numbers as text; `ts_ns` is the oldest of the times.
CREATE TABLE vaults (
    stream INTEGER NOT NULL,
    ts_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    positions JSON NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    PRIMARY KEY (stream, ts_ns, tape_offset)
);

-- The texts of quarantine come from outside and may hold the one character that TEXT cannot, NUL: it stands as \0
-- here, and a backslash as \\.
CREATE TABLE quarantine (
    tape_offset BIGINT NOT NULL,
    item BIGINT NOT NULL,
    venue TEXT NOT NULL,
    channel TEXT NOT NULL,
    reason TEXT NOT NULL,
    path TEXT NOT NULL,
    value TEXT NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    excerpt BYTEA NOT NULL,
    PRIMARY KEY (tape_offset, item)
);

CREATE TABLE seams (
    stream INTEGER NOT NULL,
    tape_offset BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    cause TEXT NOT NULL,
    shared BIGINT NOT NULL,
    ts_before_ns BIGINT NOT NULL,
    ts_after_ns BIGINT NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    PRIMARY KEY (stream, tape_offset)
);

CREATE TABLE gaps (
    stream INTEGER NOT NULL,
    from_ns BIGINT NOT NULL,
    tape_offset BIGINT NOT NULL,
    first_id BIGINT NOT NULL,
    to_ns BIGINT NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    estimated_missing BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    ts_recv_ns BIGINT NOT NULL,
    PRIMARY KEY (stream, from_ns, tape_offset, first_id)
);

-- Counting and listing the gaps that still need someone must not cost more as the settled ones pile up.
CREATE INDEX gaps_open ON gaps (stream, from_ns, tape_offset, first_id) WHERE state IN ('open', 'backfilling');

-- The tables from here on are small and rewritten by every batch: room on their pages keeps the new version of a
-- row beside the old one, and their indexes as they are.
CREATE TABLE coverage (
    stream INTEGER NOT NULL,
    from_ns BIGINT NOT NULL,
    to_ns BIGINT NOT NULL,
    cover TEXT NOT NULL,
    tape_offset BIGINT NOT NULL,
    PRIMARY KEY (stream, from_ns)
) WITH (fillfactor = 50);

CREATE TABLE states (
    key TEXT COLLATE "C" PRIMARY KEY,
    state BYTEA NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE counts (
    name TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
) WITH (fillfactor = 50);

-- How many rows each table holds: count(*) would read them all.
CREATE TABLE sizes (
    name TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
) WITH (fillfactor = 50);

INSERT INTO sizes (name, value) VALUES
    ('trades', 0), ('candles', 0), ('quotes', 0), ('books', 0), ('mids', 0), ('contexts', 0), ('vaults', 0),
    ('quarantined', 0), ('gaps', 0);

CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    tape_offset BIGINT NOT NULL
) WITH (fillfactor = 50);

INSERT INTO checkpoint (one, tape_offset) VALUES (1, 0);

-- Who writes. Each opening for writing takes the next epoch; a writer of an older one may write nothing more. Every
-- batch locks this row until it is committed, so that a take-over and a batch come one after the other.
CREATE TABLE writer (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    owner TEXT NOT NULL
) WITH (fillfactor = 50);

INSERT INTO writer (one, epoch, owner) VALUES (1, 0, '');
