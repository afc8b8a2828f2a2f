"""Watched accounts: both or nothing. Parts of one cycle of polls become a snapshot only when all of them came."""

from __future__ import annotations

from typing import Final

from everytick.core.sequence import StreamState
from everytick.model.event import VaultPosition, VaultPositions, VaultState
from everytick.model.stream import Stream
from everytick.model.units import NS_PER_S

# A watched account that holds nothing three times running has most likely moved to another address.
ZEROS_TOLD: Final = 3
# Parts are asked for one after the other. Further apart than this by the venue's own times they are no one moment.
SPREAD_NS_MAX: Final = 30 * NS_PER_S


def take_part(stream: Stream, state: StreamState, told: VaultState) -> tuple[VaultPositions | None, bool]:
    """One account's part: the snapshot it completes, if any, and whether that was left out for being too spread.

    A first part begins a new cycle, whatever became of the one before; a part out of order ends its cycle.
    """
    position = told.of(stream.instrument)
    if told.part == 1:
        state.parts = (position,)
    elif told.part == len(state.parts) + 1:
        state.parts = (*state.parts, position)
    else:
        state.parts = ()
        return None, False
    if told.part < told.parts:
        return None, False
    positions, state.parts = state.parts, ()
    times = [one.ts_event_ns for one in positions]
    if max(times) - min(times) > SPREAD_NS_MAX:
        return None, True
    return VaultPositions(stream, min(times), positions), False


def count_zeros(state: StreamState, positions: tuple[VaultPosition, ...]) -> list[str]:
    """The accounts that have now read zero ZEROS_TOLD times running: each is named once, until it holds something."""
    zeros = {one.vault: state.zeros.get(one.vault, 0) + 1 for one in positions if not one.size}
    state.zeros = {vault: min(count, ZEROS_TOLD + 1) for vault, count in zeros.items()}
    return [vault for vault, count in zeros.items() if count == ZEROS_TOLD]
