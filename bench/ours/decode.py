"""Our decoder alone: messages per second on one core, and the JSON reader's own limit on the same bytes."""

from __future__ import annotations

import json
import sys
import time

import msgspec

from bench.frames import hyperliquid, start_before_now_ms
from everytick.model.frame import Frame, FrameKind, Source
from everytick.venues import hyperliquid as venue

PASSES = 5


def main() -> None:
    """Print both rates, the median pass of each, taken in turn."""
    order = json.loads(sys.argv[1])
    count, each = order["messages"], order["trades_per_message"]
    payloads = list(hyperliquid(count, each, 1, start_before_now_ms(count * each)))
    source = Source("hyperliquid", "ws", 0)
    now_ns = time.time_ns()
    frames = [
        Frame(offset, FrameKind.MESSAGE, source, now_ns, offset, payload) for offset, payload in enumerate(payloads)
    ]
    read_anything = msgspec.json.Decoder().decode
    ours: list[float] = []
    limit: list[float] = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        events = 0
        for frame in frames:
            events += len(venue.decode(frame).events)
        ours.append(count / (time.perf_counter() - begin))
        if events != count * each:
            raise RuntimeError(f"{events} events decoded of {count * each} trades")
        begin = time.perf_counter()
        for payload in payloads:
            read_anything(payload)
        limit.append(count / (time.perf_counter() - begin))
    print(json.dumps({"ours": ours, "limit": limit, "message_bytes": sum(map(len, payloads)) // count}), flush=True)


if __name__ == "__main__":
    main()
