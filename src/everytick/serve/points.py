"""/oi, /hlp and /price: pages of snapshots, each at one moment."""

from __future__ import annotations

from everytick.core.validate import decimal_text
from everytick.model.event import VaultPositions
from everytick.model.stream import Kind
from everytick.model.units import ms_from_ns
from everytick.serve import cursor
from everytick.serve.answers import OpenInterest, OpenInterestRow, PriceRow, Prices, Vaults, VaultsRow
from everytick.serve.queries import PointsQuery
from everytick.serve.route import Reply
from everytick.serve.rows import following_of, row_query
from everytick.serve.sources import Sources
from everytick.stores import protocol


def open_interest(sources: Sources, query: PointsQuery) -> Reply:
    """Contexts by receive time."""
    print_ = cursor.fingerprint("/oi", query)
    page = sources.ask(lambda reader: reader.contexts(row_query(reader, query, Kind.CONTEXTS, print_)))
    rows = [
        OpenInterestRow(
            venue=r.stream.venue,
            coin=r.stream.instrument,
            ts_ms=ms_from_ns(r.ts_recv_ns),
            open_interest=r.open_interest,
            funding_rate=r.funding_rate,
            mark_px=r.mark_price,
            oracle_px=r.oracle_price,
            day_ntl_vlm=r.day_notional_volume,
            premium=r.premium,
            mid_px=r.mid_price,
            prev_day_px=r.previous_day_price,
        )
        for r in page
    ]
    last = (page[-1].ts_recv_ns, page[-1].number, page[-1].offset) if page else None
    following = following_of(last, len(page), query, print_)
    return Reply(OpenInterest(rows, len(rows), following), next_cursor=following)


def vaults(sources: Sources, query: PointsQuery) -> Reply:
    """Snapshots of the watched accounts by the venue's time."""
    print_ = cursor.fingerprint("/hlp", query)
    page = sources.ask(lambda reader: reader.vaults(row_query(reader, query, Kind.VAULTS, print_)))
    rows = [_vaults_row(r) for r in page]
    last = (page[-1].ts_event_ns, page[-1].number, page[-1].offset) if page else None
    following = following_of(last, len(page), query, print_)
    return Reply(Vaults(rows, len(rows), following), next_cursor=following)


def prices(sources: Sources, query: PointsQuery) -> Reply:
    """Mid prices by receive time."""
    print_ = cursor.fingerprint("/price", query)
    page = sources.ask(lambda reader: reader.mids(row_query(reader, query, Kind.MIDS, print_)))
    rows = [PriceRow(r.stream.venue, r.stream.instrument, ms_from_ns(r.ts_recv_ns), r.price) for r in page]
    last = (page[-1].ts_recv_ns, page[-1].number, page[-1].offset) if page else None
    following = following_of(last, len(page), query, print_)
    return Reply(Prices(rows, len(rows), following), next_cursor=following)


def _vaults_row(row: protocol.VaultsRow) -> VaultsRow:
    whole = VaultPositions(row.stream, row.ts_event_ns, row.positions)
    sizes = [decimal_text(one.size) for one in row.positions]
    return VaultsRow(
        venue=row.stream.venue,
        coin=row.stream.instrument,
        ts_ms=ms_from_ns(row.ts_event_ns),
        net_btc=decimal_text(whole.size),
        net_usd=decimal_text(whole.notional),
        strat_a_btc=sizes[0] if sizes else None,
        strat_b_btc=sizes[1] if len(sizes) > 1 else None,
        total_acv=decimal_text(whole.account_value),
        vaults=";".join(
            f"{one.vault} {ms_from_ns(one.ts_event_ns)} {decimal_text(one.size)} {decimal_text(one.notional)} "
            f"{decimal_text(one.account_value)}"
            for one in row.positions
        ),
    )
