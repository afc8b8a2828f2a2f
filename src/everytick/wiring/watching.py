"""Supervision of one process put together: the watchdog, the kill switch, signals and systemd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from everytick.config import Settings
from everytick.errors import Retryable
from everytick.host.systemd import systemd
from everytick.recorder.habits import habits_of
from everytick.serve.sources import Sources
from everytick.stores.protocol import Reader
from everytick.supervise.health import Facts, Health
from everytick.supervise.keeper import SwitchKeeper
from everytick.supervise.monitor import Monitor
from everytick.supervise.progress import Progress
from everytick.supervise.signals import Signals
from everytick.supervise.stacks import Stacks
from everytick.supervise.switch import SwitchState, Trading
from everytick.supervise.threads import OwnedThread
from everytick.supervise.tree import Restarts, Tree
from everytick.supervise.watchdog import Watchdog, beat
from everytick.telemetry import Telemetry
from everytick.wiring.parts import Ports, api_sources, streams_of

# A change of the kill switch is two small writes; a caller waits so long for a disk.
SWITCH_S_MAX = 2.0


class Watch:
    """What watches a process. `threads` are the workers that may be healed, by name, as they come to be."""

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        telemetry: Telemetry,
        progress: Progress,
        tree: Tree,
        threads: Mapping[str, OwnedThread],
        facts: Facts,
        *,
        judges_streams: bool = True,
    ) -> None:
        folder = Path(settings.data.dir)
        self._streams = [s for found in streams_of(settings).values() for s in found] if judges_streams else []
        lines = {stream.key: f"{stream.venue}/ws" for stream in self._streams}
        self._monitor = Monitor(lines)
        self.keeper = SwitchKeeper(folder, ports.clock, telemetry, is_enabled=settings.trading.enabled)
        self._settings = settings
        self._ports = ports
        self._telemetry = telemetry
        self._progress = progress
        self._tree = tree
        self._facts = facts
        self._folder = folder
        self.dog = Watchdog(
            progress,
            self._monitor,
            ports.clock,
            telemetry,
            settings.supervise,
            systemd=systemd(),
            threads=threads,
        )
        self._signals: Signals | None = None
        self._sources: Sources | None = None

    def begin(self, *, heeds_signals: bool, received: Callable[[], int] = int) -> None:
        """Watch from now on. In the running loop, before anything else is started.

        `received` is the next offset that a frame would get; 0 in a process that records nothing.
        """
        try:
            self.dog.stacks = Stacks(self._folder)
        except OSError:
            self.dog.stacks = None  # a folder that cannot be used: the start itself is about to say so
        if heeds_signals:
            if self.dog.stacks is not None:
                self.dog.stacks.dump_on_signal()
            self._signals = Signals(self._tree.stop, self.dog.stopping, self.dog.is_loop_wedged)
            self._signals.take()
        self.dog.start()
        self._tree.spawn("heartbeat", lambda: beat(self._progress, self._ports.clock, received), Restarts())
        self.keeper.start()
        switch = OwnedThread("switch", self.keeper.work)
        self._tree.spawn("switch", switch.run, Restarts())

    def ready(self) -> None:
        """The start is done."""
        self.dog.ready()

    def ending(self) -> None:
        """A graceful end has begun; from here on its time is measured."""
        self.dog.stopping()

    def end(self) -> None:
        """Watch no longer."""
        self.dog.end()
        if self._signals is not None:
            self._signals.restore()
        if self.dog.stacks is not None:
            self.dog.stacks.close()

    def learn(self, reader: Reader) -> None:
        """Learn the streams' habits from the newest trades of a store; one that does not answer teaches nothing."""
        try:
            habits = habits_of(reader, self._streams)
        except Retryable:
            return
        finally:
            reader.close()
        self._monitor.know(habits)

    def sources(self, open_reader: Callable[[], Reader], store_kind: str) -> Sources:
        """What the API answers from."""
        sources = api_sources(open_reader, self._progress, self._ports, self._telemetry)
        sources.facts = lambda: self._facts
        sources.seen = lambda: self.dog.seen
        sources.switch = self.keeper.current
        sources.set_switch = self._set_switch
        sources.restarts = lambda: self._tree.deaths
        sources.store_kind = store_kind
        return sources

    def health(self) -> Health:
        """Data health now, from memory; for any thread."""
        if self._sources is None:
            self._sources = self.sources(_no_reader, "")
        return self._sources.health()

    def _set_switch(self, to: Trading, reason: str, who: str) -> SwitchState:
        return self.keeper.ask(to, reason, who, SWITCH_S_MAX)


def _no_reader() -> Reader:
    raise Retryable("health asks no store")
