"""A wait for what new work cannot bring is not ended by new work."""

from __future__ import annotations

import threading
import time

from everytick.errors import Retryable
from everytick.host.clock import HostClock
from everytick.recorder.pipeline import Pipeline
from everytick.recorder.projector import RETRY_FIRST_S, Projector
from everytick.stores.memory import MemoryStore
from everytick.stores.protocol import Batch
from everytick.supervise.progress import Progress
from everytick.supervise.threads import Stop
from everytick.tape.reader import TapeReader
from everytick.telemetry import Telemetry


def rests(stop: Stop, seconds: float) -> float:
    """How long a rest of so many seconds takes."""
    began_s = time.monotonic()
    with stop.resting():
        stop.wait(seconds)
    return time.monotonic() - began_s


def test_a_rest_outlasts_new_work_and_old() -> None:
    stop = Stop()
    stop.wake()
    timer = threading.Timer(0.01, stop.wake)
    timer.start()
    assert rests(stop, 0.1) >= 0.09
    timer.join()


def test_a_request_to_stop_ends_a_rest_whenever_it_comes() -> None:
    asked = Stop()
    asked.ask()
    assert rests(asked, 20) < 1
    stop = Stop()
    timer = threading.Timer(0.05, stop.ask)
    timer.start()
    assert rests(stop, 20) < 5
    timer.join()


def test_after_a_rest_new_work_is_heard_again() -> None:
    stop = Stop()
    assert rests(stop, 0.01) < 1
    stop.wake()
    assert stop.take()


class Away(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def apply(self, batch: Batch) -> None:
        self.tries += 1
        raise Retryable("the store is away")


class Nothing(TapeReader):
    """A tape without a readable frame: enough to make a batch."""

    def __init__(self) -> None:
        self._damage = {}

    def read(self, offset: int, count: int, until: int) -> list[object]:  # never any
        return []


def test_a_store_that_is_away_is_not_asked_again_for_every_frame_that_comes() -> None:
    store, stop, clock = Away(), Stop(), HostClock()
    projector = Projector(Nothing(), Pipeline({}, store), store, clock, Telemetry(clock), Progress(), 0)
    thread = threading.Thread(target=projector.step, args=(1, stop))
    thread.start()
    end_s = time.monotonic() + 2.5 * RETRY_FIRST_S
    while time.monotonic() < end_s:
        stop.wake()
        time.sleep(0.001)
    tries = store.tries
    stop.ask()
    thread.join()
    assert 1 <= tries <= 3
