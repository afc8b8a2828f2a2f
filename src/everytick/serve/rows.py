"""/trades and /candles: pages of time-ordered rows."""

from __future__ import annotations

from everytick.model.stream import Kind
from everytick.model.units import ms_from_ns, ns_from_ms
from everytick.serve import cursor
from everytick.serve.answers import CandleRow, Candles, TradeRow, Trades
from everytick.serve.queries import CandlesQuery, PointsQuery, TradesQuery
from everytick.serve.refusal import RequestRefused
from everytick.serve.route import Reply, chosen
from everytick.serve.sources import Sources
from everytick.stores.protocol import Reader, RowQuery


def trades(sources: Sources, query: TradesQuery) -> Reply:
    """The plain way: rows as records. The oracle of `trades_fast`."""
    print_ = cursor.fingerprint("/trades", query)
    page = sources.ask(lambda reader: reader.trades(row_query(reader, query, Kind.TRADES, print_)))
    rows = [
        TradeRow(r.stream.venue, r.stream.instrument, r.trade_id, r.side, r.price, r.size, ms_from_ns(r.ts_event_ns))
        for r in page
    ]
    last = (page[-1].ts_event_ns, page[-1].number, page[-1].trade_id) if page else None
    following = following_of(last, len(page), query, print_)
    return Reply(Trades(rows, len(rows), following), next_cursor=following)


def trades_fast(sources: Sources, query: TradesQuery) -> Reply:
    """The same page with its rows as the store wrote them: no record is made for a row."""
    print_ = cursor.fingerprint("/trades", query)
    inside, count, last = sources.ask(lambda reader: reader.trades_json(row_query(reader, query, Kind.TRADES, print_)))
    following = following_of(last, count, query, print_)
    # A cursor is base64url: nothing in it needs escaping.
    written = f'"{following}"' if following else "null"
    tail = f'],"count":{count},"next_cursor":{written}}}'.encode()
    return Reply(body=b"".join((b'{"trades":[', inside, tail)), next_cursor=following)


def candles(sources: Sources, query: CandlesQuery) -> Reply:
    """Candles by open time."""
    print_ = cursor.fingerprint("/candles", query)
    page = sources.ask(lambda reader: reader.candles(row_query(reader, query, Kind.CANDLES, print_)))
    rows = [
        CandleRow(
            venue=r.stream.venue,
            coin=r.stream.instrument,
            interval=r.stream.interval,
            time=ms_from_ns(r.ts_open_ns),
            time_close=ms_from_ns(r.ts_close_ns),
            open=r.open,
            high=r.high,
            low=r.low,
            close=r.close,
            volume=r.volume,
            trades=r.trade_count,
            state=str(r.state),
        )
        for r in page
    ]
    # A stream has one candle per open time, so the id part of the key is not needed.
    last = (page[-1].ts_open_ns, page[-1].number, 0) if page else None
    following = following_of(last, len(page), query, print_)
    return Reply(Candles(rows, len(rows), following), next_cursor=following)


def row_query(reader: Reader, query: TradesQuery | CandlesQuery | PointsQuery, kind: Kind, print_: bytes) -> RowQuery:
    """The page that a query asks for. Raises RequestRefused."""
    if query.since_ms > query.until_ms:
        raise RequestRefused(
            400,
            f"since_ms lies after until_ms ({query.until_ms}), so nothing can match",
            parameter="since_ms",
            value=str(query.since_ms),
            expected=f"a whole number from 0 to {query.until_ms}",
        )
    after = cursor.read(query.cursor, print_) if query.cursor else None
    interval = query.interval if isinstance(query, CandlesQuery) else ""
    return RowQuery(
        streams=chosen(reader.streams(), kind=kind, venue=query.venue, coin=query.coin, interval=interval),
        since_ns=ns_from_ms(query.since_ms),
        until_ns=ns_from_ms(query.until_ms),
        descending=query.order == "desc",
        limit=query.limit,
        after=after,
    )


def following_of(
    last: cursor.Key | None, count: int, query: TradesQuery | CandlesQuery | PointsQuery, print_: bytes
) -> str | None:
    """The cursor for the page after this one, None where there is none."""
    # A page that is not full is the last one. A full last page costs the caller one empty page more.
    if last is None or count < query.limit:
        return None
    return cursor.write(last, print_)
