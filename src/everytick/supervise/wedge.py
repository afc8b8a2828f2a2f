"""Is a worker wedged? The rule, pure: dead, or upstream is active and the backlog is sustained and progress is stale.

A worker that waits for a disk is slow, not wedged, however long it waits: starting it again would only lose what
waits in memory. A worker that waits for a store elsewhere is given much longer, since a restart may cure a line
that went silent.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from everytick.model.units import NS_PER_S

# Upstream counts as active if it brought something within this time.
ACTIVE_NS = 30 * NS_PER_S
# A store across a network may think for minutes (a lock, a failover); beyond that the line itself is suspect.
STORE_WAIT_FACTOR = 15


class Worker(msgspec.Struct, frozen=True):
    """What is known of one worker now; ages in ns.

    `idle_ns`: since its progress last moved. `backlog_ns`: since when work has waited for it, 0 if none waits.
    `upstream_ns`: since its upstream last brought something. `waits_for`: `disk`, `store` or nothing.
    `is_trying`: it reports trouble itself and tries again, which is no wedge.
    """

    name: str
    is_alive: bool
    idle_ns: int
    backlog_ns: int
    upstream_ns: int
    waits_for: str = ""
    is_trying: bool = False


def wedged(worker: Worker, bound_ns: int) -> str:
    """Why the worker counts as wedged; empty if it does not."""
    if not worker.is_alive:
        return "dead" if worker.idle_ns > bound_ns else ""
    if worker.is_trying or worker.waits_for == "disk":
        return ""
    patience_ns = bound_ns * STORE_WAIT_FACTOR if worker.waits_for == "store" else bound_ns
    is_active = worker.upstream_ns <= ACTIVE_NS
    if is_active and worker.backlog_ns > patience_ns and worker.idle_ns > patience_ns:
        return "work waits, upstream is active and nothing moves"
    return ""


def waits_for(modules: Iterator[str]) -> str:
    """What a thread waits for, by the modules of its frames, innermost first."""
    for module in modules:
        if module.startswith(("everytick.host.disk", "everytick.stores.sqlite", "everytick.host.latch")):
            return "disk"
        if module.startswith("everytick.stores"):
            return "store"
        if module.startswith("everytick."):
            return ""
    return ""
