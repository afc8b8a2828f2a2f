"""Liveness, readiness and data health are separate questions with honest codes."""

from __future__ import annotations

from tests.serve.asking import NOW_NS, caller_of, filled_store

from everytick.model.units import NS_PER_S
from everytick.supervise.monitor import Seen, StreamSeen
from everytick.supervise.progress import ConnectionProgress, Progress


def test_health_is_200_only_when_all_is_well() -> None:
    answer = caller_of(filled_store())("/health")
    assert (answer.status, answer.json["status"], answer.json["reasons"]) == (200, "ok", [])


def test_a_full_disk_and_a_mute_stream_are_503_with_what_to_do() -> None:
    full = Progress(started_ns=NOW_NS, tape_trouble="no room on the tape's disk")
    answer = caller_of(filled_store(), progress=full)("/health")
    assert (answer.status, answer.json["status"]) == (503, "degraded")
    assert answer.json["reasons"][0]["message"] == "no room on the tape's disk"
    assert answer.json["reasons"][0]["action"]

    mute = {"hyperliquid/trades/BTC": StreamSeen("", True, -60 * NS_PER_S, NS_PER_S, 0)}
    seen = Seen(0, 0, 0, 0, 0, 0, {}, mute)
    answer = caller_of(filled_store(), seen=lambda: seen)("/health")
    assert (answer.status, answer.json["status"]) == (503, "stale")
    assert (answer.json["reasons"][0]["subject"], answer.json["reasons"][0]["age_ms"]) == (
        "hyperliquid/trades/BTC", 60_000,
    )  # fmt: skip
    assert answer.json["trade_poll_stale"] is True
    assert answer.json["trade_ok_age_s"] == 60
    assert answer.json["candle_data_stale"] is False


def test_trouble_with_data_does_not_make_the_process_dead() -> None:
    progress = Progress(started_ns=NOW_NS, store_trouble="the store is locked by another program")
    call = caller_of(filled_store(), progress=progress)
    assert call("/livez").json == {"live": True, "loop_age_ms": 0, "watched": True}
    ready = call("/readyz")
    assert (ready.status, ready.json["ready"], ready.json["reason"]) == (503, False, progress.store_trouble)
    assert caller_of(filled_store())("/readyz").json == {"ready": True, "reason": ""}


def test_stats_tell_each_connection() -> None:
    line = ConnectionProgress("hyperliquid", "ws", up=True, since_ns=NOW_NS, connects=3, failures=2, last_cause="cut")
    progress = Progress(started_ns=NOW_NS, connections={"hyperliquid/ws": line}, offset_durable=12)
    stats = caller_of(filled_store(), progress=progress)("/stats").json
    assert stats["watermark"] == 12
    told = stats["connections"]["hyperliquid/ws"]
    assert (told["up"], told["connects"], told["failures"], told["last_cause"]) == (True, 3, 2, "cut")
    assert told["since_ms"] == NOW_NS // 1_000_000
