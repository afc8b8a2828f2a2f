"""The store in memory: dicts by identity, sorted when asked. Slow and plain, so that it can judge the others.

Nothing outlives the process. `memory:` names it; tests and simulations use it.
"""

from everytick.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
