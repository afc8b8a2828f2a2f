-- What one tape says, as tables. Everything but `writer` is a pure function of the tape up to the checkpoint.
--
-- Keys lead with the stream and its time, so that new rows land at the end of the tree: a key led by the venue's
-- random trade ids costs sixteen times the writes once the table outgrows the cache.
-- Numbers of the market are exact text; the REAL column beside each is computed when read, for plain SQL.
-- Times are nanoseconds UTC. `offset` is the place on the tape of the frame that said so.

CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    venue TEXT NOT NULL,
    kind TEXT NOT NULL,
    instrument TEXT NOT NULL,
    interval TEXT NOT NULL,
    UNIQUE (venue, kind, instrument, interval)
) STRICT;

CREATE TABLE trades (
    stream INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    trade_id INTEGER NOT NULL,
    price_text TEXT NOT NULL,
    size_text TEXT NOT NULL,
    side TEXT NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    price REAL GENERATED ALWAYS AS (CAST(price_text AS REAL)) VIRTUAL,
    size REAL GENERATED ALWAYS AS (CAST(size_text AS REAL)) VIRTUAL,
    PRIMARY KEY (stream, ts_ns, trade_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE candles (
    stream INTEGER NOT NULL,
    ts_open_ns INTEGER NOT NULL,
    ts_close_ns INTEGER NOT NULL,
    open_text TEXT NOT NULL,
    high_text TEXT NOT NULL,
    low_text TEXT NOT NULL,
    close_text TEXT NOT NULL,
    volume_text TEXT NOT NULL,
    trade_count INTEGER NOT NULL,
    state TEXT NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    open REAL GENERATED ALWAYS AS (CAST(open_text AS REAL)) VIRTUAL,
    high REAL GENERATED ALWAYS AS (CAST(high_text AS REAL)) VIRTUAL,
    low REAL GENERATED ALWAYS AS (CAST(low_text AS REAL)) VIRTUAL,
    close REAL GENERATED ALWAYS AS (CAST(close_text AS REAL)) VIRTUAL,
    volume REAL GENERATED ALWAYS AS (CAST(volume_text AS REAL)) VIRTUAL,
    PRIMARY KEY (stream, ts_open_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE quotes (
    stream INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    bid_price_text TEXT,
    bid_size_text TEXT,
    ask_price_text TEXT,
    ask_size_text TEXT,
    ts_recv_ns INTEGER NOT NULL,
    bid_price REAL GENERATED ALWAYS AS (CAST(bid_price_text AS REAL)) VIRTUAL,
    bid_size REAL GENERATED ALWAYS AS (CAST(bid_size_text AS REAL)) VIRTUAL,
    ask_price REAL GENERATED ALWAYS AS (CAST(ask_price_text AS REAL)) VIRTUAL,
    ask_size REAL GENERATED ALWAYS AS (CAST(ask_size_text AS REAL)) VIRTUAL,
    PRIMARY KEY (stream, ts_ns, offset)
) STRICT, WITHOUT ROWID;

-- Levels are JSON: [[price, size, orders], ...], best first, numbers of the market as text.
CREATE TABLE books (
    stream INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    bids TEXT NOT NULL,
    asks TEXT NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, ts_ns, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE mids (
    stream INTEGER NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    price_text TEXT NOT NULL,
    price REAL GENERATED ALWAYS AS (CAST(price_text AS REAL)) VIRTUAL,
    PRIMARY KEY (stream, ts_recv_ns, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE contexts (
    stream INTEGER NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    open_interest_text TEXT NOT NULL,
    funding_rate_text TEXT NOT NULL,
    mark_price_text TEXT NOT NULL,
    oracle_price_text TEXT,
    mid_price_text TEXT,
    premium_text TEXT,
    day_notional_volume_text TEXT,
    previous_day_price_text TEXT,
    open_interest REAL GENERATED ALWAYS AS (CAST(open_interest_text AS REAL)) VIRTUAL,
    funding_rate REAL GENERATED ALWAYS AS (CAST(funding_rate_text AS REAL)) VIRTUAL,
    mark_price REAL GENERATED ALWAYS AS (CAST(mark_price_text AS REAL)) VIRTUAL,
    oracle_price REAL GENERATED ALWAYS AS (CAST(oracle_price_text AS REAL)) VIRTUAL,
    mid_price REAL GENERATED ALWAYS AS (CAST(mid_price_text AS REAL)) VIRTUAL,
    premium REAL GENERATED ALWAYS AS (CAST(premium_text AS REAL)) VIRTUAL,
    day_notional_volume REAL GENERATED ALWAYS AS (CAST(day_notional_volume_text AS REAL)) VIRTUAL,
    previous_day_price REAL GENERATED ALWAYS AS (CAST(previous_day_price_text AS REAL)) VIRTUAL,
    PRIMARY KEY (stream, ts_recv_ns, offset)
) STRICT, WITHOUT ROWID;

-- What all watched accounts held at once. Positions are JSON: [[account, ts_ns, size, notional, account value], ...],
-- each with the venue's own time, numbers as text; `ts_ns` is the oldest of the times.
CREATE TABLE vaults (
    stream INTEGER NOT NULL,
    ts_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    positions TEXT NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, ts_ns, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    offset INTEGER NOT NULL,
    item INTEGER NOT NULL,
    venue TEXT NOT NULL,
    channel TEXT NOT NULL,
    reason TEXT NOT NULL,
    path TEXT NOT NULL,
    value TEXT NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    excerpt BLOB NOT NULL,
    PRIMARY KEY (offset, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE seams (
    stream INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    cause TEXT NOT NULL,
    shared INTEGER NOT NULL,
    ts_before_ns INTEGER NOT NULL,
    ts_after_ns INTEGER NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
    stream INTEGER NOT NULL,
    from_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    to_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    estimated_missing INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, from_ns, offset, first_id)
) STRICT, WITHOUT ROWID;

-- Counting and listing the gaps that still need someone must not cost more as the settled ones pile up.
CREATE INDEX gaps_open ON gaps (stream, from_ns, offset, first_id) WHERE state IN ('open', 'backfilling');

CREATE TABLE coverage (
    stream INTEGER NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER NOT NULL,
    cover TEXT NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (stream, from_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE states (
    key TEXT PRIMARY KEY,
    state BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counts (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many rows each table holds: count(*) would read them all.
CREATE TABLE sizes (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sizes (name, value) VALUES
    ('trades', 0), ('candles', 0), ('quotes', 0), ('books', 0), ('mids', 0), ('contexts', 0), ('vaults', 0),
    ('quarantined', 0), ('gaps', 0);

CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    offset INTEGER NOT NULL
) STRICT;

INSERT INTO checkpoint (one, offset) VALUES (1, 0);

-- Who writes. Each opening for writing takes the next epoch; a writer of an older one may write nothing more.
CREATE TABLE writer (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL
) STRICT;

INSERT INTO writer (one, epoch, owner) VALUES (1, 0, '');
