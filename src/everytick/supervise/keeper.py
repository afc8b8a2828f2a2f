"""The kill switch as a running process has it: read from the latch all the time, answered from memory at once."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from everytick.errors import EverytickError, Retryable
from everytick.model.units import NS_PER_S
from everytick.ports import Clock
from everytick.supervise import switch
from everytick.supervise.switch import SwitchState, Trading
from everytick.supervise.threads import Stop
from everytick.telemetry import Telemetry

# A change made by another process is heeded within this time.
LOOK_S = 0.25
# A latch that was not read for so long (a disk that hangs) may say anything by now.
READ_AGE_NS_MAX = 5 * NS_PER_S


@dataclass(slots=True)
class _Wish:
    to: Trading
    reason: str
    who: str
    done: threading.Event
    state: SwitchState | None = None
    error: EverytickError | None = None


class SwitchKeeper:
    """`current` is the answer for every order and every probe. `work` runs on a thread of its own.

    The state is halted until the latch has been read, and again when it could not be read lately.
    """

    def __init__(self, folder: Path, clock: Clock, telemetry: Telemetry, *, is_enabled: bool) -> None:
        self.folder = folder
        self._clock = clock
        self._telemetry = telemetry
        self._is_enabled = is_enabled
        self._state = switch.unreadable("it has not been read yet")
        self._read_ns = clock.mono_ns()
        self._halting: SwitchState | None = None
        self._wishes: queue.SimpleQueue[_Wish] = queue.SimpleQueue()

    def start(self) -> SwitchState:
        """Read the latch for the first time; a setting that is off halts a latch that is armed.

        Never raises: a latch that cannot be written is halted in memory all the same.
        """
        state = switch.read(self.folder, is_enabled=self._is_enabled)
        if state.is_armed and not self._is_enabled:
            try:
                state = self._change(Trading.HALTED, "trading.enabled is off at the start", "settings")
            except Retryable as trouble:
                state = switch.unreadable(str(trouble))
        self._take(state)
        return self.current()

    def current(self) -> SwitchState:
        """The state now, from memory. Safe from any thread; never blocks."""
        if self._halting is not None:
            return self._halting
        if self._clock.mono_ns() - self._read_ns > READ_AGE_NS_MAX:
            return switch.unreadable("it has not been read for more than 5 s")
        return self._state

    def ask(self, to: Trading, reason: str, who: str, timeout_s: float) -> SwitchState:
        """Set the switch and wait until that is durable. A halt holds at once, durable or not.

        Raises Refused for a bad reason, Retryable when it is not durable in time (a halt holds all the same).
        """
        wish = _Wish(to, switch.checked(reason), who, threading.Event())
        if to is Trading.HALTED:
            self._halting = SwitchState(Trading.HALTED, wish.reason, who, 0, -1)
        self._wishes.put(wish)
        if not wish.done.wait(timeout_s):
            held = "halted in this process" if to is Trading.HALTED else "nothing has changed yet"
            raise Retryable(f"the switch is not on disk yet; {held}")
        if wish.error is not None:
            raise wish.error
        assert wish.state is not None
        return wish.state

    def work(self, stop: Stop) -> None:
        """Read the latch and carry out wishes until asked to stop."""
        while not stop.is_asked:
            try:
                wish = self._wishes.get(timeout=LOOK_S)
            except queue.Empty:
                halting = self._halting
                if halting is not None:  # it could not be made durable: try again
                    self._carry_out(_Wish(Trading.HALTED, halting.reason, halting.who, threading.Event()))
                self._take(switch.read(self.folder, is_enabled=self._is_enabled))
                continue
            self._carry_out(wish)

    def _carry_out(self, wish: _Wish) -> None:
        try:
            wish.state = self._change(wish.to, wish.reason, wish.who)
        except EverytickError as error:
            # A halt that is not durable still holds here, until a change that is durable lifts it.
            wish.error = error
        else:
            self._halting = None
            self._take(wish.state)
        wish.done.set()

    def _change(self, to: Trading, reason: str, who: str) -> SwitchState:
        return switch.change(self.folder, self._clock, to, reason, who, is_enabled=self._is_enabled)

    def _take(self, state: SwitchState) -> None:
        before, self._state, self._read_ns = self._state, state, self._clock.mono_ns()
        if (before.trading, before.number, before.reason) != (state.trading, state.number, state.reason):
            if state.number < 0:
                self._telemetry.switch_unreadable(state.reason)
            self._telemetry.trading_switched(state.trading.value, state.who, state.reason)
