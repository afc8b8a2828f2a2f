"""Receipt → durable at a steady 5,000 messages a second, beside this disk's own fdatasync."""

from __future__ import annotations

from pathlib import Path

from bench.children import answer_of
from bench.measures.side_by_side import PASSES, median, record, sender
from bench.report import Row, ratio_of

PER_SECOND = 5_000
SECONDS = 5
PROBE_S = 3.0
P99_OF_FDATASYNC = 5.0


def run(work: Path) -> list[Row]:
    """p99 beside five times fdatasync's p99 (the promise), and p50 beside fdatasync's p50."""
    messages = PER_SECOND * SECONDS
    ours: dict[str, list[float]] = {"p50_ms": [], "p99_ms": []}
    disk: dict[str, list[float]] = {"p50_ms": [], "p99_ms": []}
    group_bytes = 0
    with sender("hyperliquid", messages, 1, per_second=PER_SECOND) as (port, _):
        for _ in range(PASSES):
            answer = record(port, messages, 1, work / "latency", store=False, latencies=True)
            group_bytes = int(answer["group_bytes"])
            order = {"folder": str(work), "append_bytes": group_bytes, "seconds": PROBE_S}
            probe = answer_of("bench.machine", order, seconds_max=30)
            for key in ours:
                ours[key].append(answer[key])
                disk[key].append(probe[key])
    conditions = (
        f"{PER_SECOND:,} messages/s for {SECONDS} s, one trade each; {PASSES} passes in turn with {PROBE_S:.0f} s of "
        f"append + fdatasync of {group_bytes:,} B (the mean group) in the same folder; medians"
    )
    limit = [P99_OF_FDATASYNC * value for value in disk["p99_ms"]]
    return [
        Row(
            name="latency-p99",
            what="receipt → durable, p99",
            ours=median(ours["p99_ms"]),
            peer=f"{P99_OF_FDATASYNC:.0f} × this disk's fdatasync p99 ({median(disk['p99_ms']):.2f} ms)",
            peer_value=median(limit),
            ratio=ratio_of(limit, ours["p99_ms"]),
            unit="ms",
            conditions=conditions,
            goal=1.0,
        ),
        Row(
            name="latency-p50",
            what="receipt → durable, p50",
            ours=median(ours["p50_ms"]),
            peer="this disk's fdatasync p50",
            peer_value=median(disk["p50_ms"]),
            ratio=ratio_of(disk["p50_ms"], ours["p50_ms"]),
            unit="ms",
            conditions=conditions,
        ),
    ]
