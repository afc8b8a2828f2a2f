"""The event loop of a process: uvloop where it exists, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

if sys.platform != "win32":
    import uvloop

T = TypeVar("T")

# A thread that computes may keep the interpreter for this long before another gets it. The default of 5 ms would
# be the receipt-to-durable latency whenever the projector is busy.
SWITCH_INTERVAL_S = 0.0005


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a new loop until it is done."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    factory = uvloop.new_event_loop if sys.platform != "win32" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
