"""The statements that write rows; the values come from `everytick.stores.rows`, in the same order of columns."""

from __future__ import annotations

INSERT_STREAM = "INSERT INTO streams (number, venue, kind, instrument, interval) VALUES (?, ?, ?, ?, ?)"
INSERT_TRADE = (
    "INSERT INTO trades (stream, ts_ns, trade_id, price_text, size_text, side, ts_recv_ns, offset) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
PUT_CANDLE = (
    "INSERT INTO candles (stream, ts_open_ns, ts_close_ns, open_text, high_text, low_text, close_text, volume_text, "
    "trade_count, state, ts_recv_ns, offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_QUOTE = (
    "INSERT INTO quotes (stream, ts_ns, offset, bid_price_text, bid_size_text, ask_price_text, ask_size_text, "
    "ts_recv_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_BOOK = "INSERT INTO books (stream, ts_ns, offset, bids, asks, ts_recv_ns) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_CONTEXT = (
    "INSERT INTO contexts (stream, ts_recv_ns, offset, open_interest_text, funding_rate_text, mark_price_text, "
    "oracle_price_text, mid_price_text, premium_text, day_notional_volume_text, previous_day_price_text) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_VAULTS = "INSERT INTO vaults (stream, ts_ns, offset, positions, ts_recv_ns) VALUES (?, ?, ?, ?, ?)"
INSERT_MID = "INSERT INTO mids (stream, ts_recv_ns, offset, price_text) VALUES (?, ?, ?, ?)"
INSERT_QUARANTINED = (
    "INSERT INTO quarantine (offset, item, venue, channel, reason, path, value, ts_recv_ns, excerpt) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_SEAM = (
    "INSERT INTO seams (stream, offset, epoch, verdict, cause, shared, ts_before_ns, ts_after_ns, ts_recv_ns) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
PUT_GAP = (
    "INSERT INTO gaps (stream, from_ns, offset, to_ns, kind, cause, state, estimated_missing, first_id, last_id, "
    "ts_recv_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
DROP_COVER = "DELETE FROM coverage WHERE stream = ? AND from_ns = ?"
PUT_COVER = "INSERT OR REPLACE INTO coverage (stream, from_ns, to_ns, cover, offset) VALUES (?, ?, ?, ?, ?)"
