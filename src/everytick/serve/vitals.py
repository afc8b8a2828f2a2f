"""/health in the words of both: our verdict with its reasons, and the fields that older consumers know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from everytick.model.units import NS_PER_S, ms_from_ns
from everytick.serve.answers import HealthAnswer
from everytick.serve.sources import Sources
from everytick.supervise.health import Health, is_mute
from everytick.supervise.monitor import Seen
from everytick.supervise.progress import Progress

# Of a reason with one of these codes every stream suffers.
_ALL_LATE = frozenset(
    {
        "not_started",
        "watchdog_dead",
        "loop_wedged",
        "tape_trouble",
        "watermark_old",
        "store_trouble",
        "checkpoint_old",
        "connection_down",
        "connection_mute",
        "streams_mute",
    }
)


def vitals(sources: Sources, found: Health) -> HealthAnswer:
    """The whole answer, from memory."""
    progress, seen = sources.progress, sources.look()
    wall_ns, mono_ns = sources.clock.wall_ns(), sources.clock.mono_ns()
    codes = {reason.code for reason in found.reasons}
    switch, totals = sources.switch(), sources.totals
    newest = progress.newest.copy()
    trade_ns, candle_ns = _newest(newest, "trades"), _newest(newest, "candles")
    # A copy: the projector adds to it meanwhile.
    coin, price = next(iter(progress.prices.copy().items()), ("", None))
    applied_s = (mono_ns - seen.apply_mono_ns) // NS_PER_S if progress.last_apply_ns else None
    return HealthAnswer(
        found.status,
        found.reasons,
        coin=coin,
        trading_enabled=switch.is_armed,
        trading_reason=switch.reason,
        started_at=_utc(progress.started_ns),
        started_s=progress.started_ns // NS_PER_S,
        collector_alive=not codes & {"not_started", "watchdog_dead", "loop_wedged"},
        watchdog_alive="watchdog_dead" not in codes,
        loop_heartbeat_age_s=(mono_ns - seen.beat_mono_ns) // NS_PER_S,
        trade_poll_stale=_is_stale(seen, "trades", codes, mono_ns),
        trade_ok_age_s=_age_s(seen, "trades", mono_ns),
        last_trade_success_s=trade_ns[1] // NS_PER_S or None,
        candle_data_stale=_is_stale(seen, "candles", codes, mono_ns),
        last_candle_success_s=candle_ns[1] // NS_PER_S or None,
        last_candle_ts_ms=ms_from_ns(candle_ns[0]) or None,
        last_price=price,
        db_type=sources.store_kind,
        db_connected=not codes & {"store_trouble", "checkpoint_old"},
        db_last_ok_s=wall_ns // NS_PER_S - applied_s if applied_s is not None else None,
        db_last_ok_age_s=applied_s,
        total_trades=totals.trades if totals else None,
        total_candles=totals.candles if totals else None,
        total_gaps=totals.gaps if totals else None,
        total_oi_snapshots=totals.contexts if totals else None,
        derivs_ok_age_s=_age_s(seen, "contexts", mono_ns),
        errors=_errors(progress),
        restarts=sources.restarts(),
    )


def _errors(progress: Progress) -> int:
    return progress.counts.get("quarantined", 0) + progress.counts.get("requests_failed", 0)


def _kind(key: str) -> str:
    return key.split("/", 2)[1]


def _newest(newest: Mapping[str, tuple[int, int]], kind: str) -> tuple[int, int]:
    """(event ns, receive ns) of the newest event of a kind, zeros before the first."""
    of_kind = [times for key, times in newest.items() if _kind(key) == kind]
    return max((t[0] for t in of_kind), default=0), max((t[1] for t in of_kind), default=0)


def _is_stale(seen: Seen, kind: str, codes: set[str], mono_ns: int) -> bool:
    return bool(codes & _ALL_LATE) or any(is_mute(s, mono_ns) for k, s in seen.streams.items() if _kind(k) == kind)


def _age_s(seen: Seen, kind: str, mono_ns: int) -> int | None:
    moved = [s.silent_mono_ns for k, s in seen.streams.items() if s.is_heard and _kind(k) == kind]
    return (mono_ns - max(moved)) // NS_PER_S if moved else None


def _utc(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}" if ts_ns else ""
