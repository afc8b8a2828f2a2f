"""What the machine itself can do, measured beside us: its disk's fdatasync. Also a process's memory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def fdatasync_ms(folder: Path, append_bytes: int, seconds: float) -> list[float]:
    """Times (ms) of append + fdatasync, one after another, on a file of its own in `folder`."""
    data = os.urandom(append_bytes)
    path = folder / "probe"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    times: list[float] = []
    try:
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            os.write(handle, data)
            os.fdatasync(handle)
            times.append((time.perf_counter() - begin) * 1e3)
    finally:
        os.close(handle)
        path.unlink()
    return times


def resident_bytes() -> int:
    """This process's resident memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS: memory can be measured on Linux only")


def two_cpus() -> tuple[list[int], list[int]]:
    """One processor for the server and another for its load, or no pinning where there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return [], []
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[:1], cpus[1:2]) if len(cpus) > 1 else ([], [])


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    times = fdatasync_ms(Path(order["folder"]), order["append_bytes"], order["seconds"])
    print(json.dumps({"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99), "count": len(times)}))
