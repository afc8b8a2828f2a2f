"""The event loop of a process: uvloop where it exists, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

if sys.platform != "win32":
    import uvloop

T = TypeVar("T")

# What the program makes by the thousand (frames, rows, tuples) holds no circles, so looking for circles every 700
# objects is a third of the recorder's work for nothing. Looking every 100,000 still finds those that libraries make.
GARBAGE_AFTER_OBJECTS = 100_000

# A thread that computes may keep the interpreter for this long before another gets it. The default of 5 ms would
# be the receipt-to-durable latency whenever the projector is busy.
SWITCH_INTERVAL_S = 0.0005


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a new loop until it is done."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER_OBJECTS, 20, 20)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    factory = uvloop.new_event_loop if sys.platform != "win32" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
