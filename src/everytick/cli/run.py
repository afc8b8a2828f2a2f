"""`everytick run`, `record`, `project` and `serve`: one process that does everything, or its parts as processes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from everytick.cli import times
from everytick.cli.console import ConfigOption, say
from everytick.cli.exits import Exit
from everytick.cli.session import World, world
from everytick.host import loop
from everytick.supervise.progress import Progress
from everytick.wiring.parts import streams_of
from everytick.wiring.process import Process
from everytick.wiring.views import View

ForOption = Annotated[str | None, Parameter(name="--for", help="Stop after this long, for example 30s; else never.")]


def run(*, for_: ForOption = None, config_file: ConfigOption = None) -> int:
    """Record, project and serve in one process until a signal.

    Example: everytick run --for 2s --config everytick.toml
    """
    return _process(world(config_file), for_, projects=True, serves=True)


def record(*, for_: ForOption = None, config_file: ConfigOption = None) -> int:
    """Record to the tape only; `everytick project` and `everytick serve` can run beside it.

    Example: everytick record --for 2s --config everytick.toml
    """
    return _process(world(config_file), for_, projects=False, serves=False)


def project(*, for_: ForOption = None, config_file: ConfigOption = None) -> int:
    """Keep the store up with the tape that another process records.

    Example: everytick project --for 2s --config everytick.toml
    """
    return _view(world(config_file), for_, projects=True, serves=False)


def serve(*, for_: ForOption = None, config_file: ConfigOption = None) -> int:
    """Answer over HTTP from the store that another process keeps.

    Example: everytick serve --for 2s --config everytick.toml
    """
    return _view(world(config_file), for_, projects=False, serves=True)


def _process(here: World, for_: str | None, *, projects: bool, serves: bool) -> int:
    process = Process(here.settings, here.ports, here.telemetry, projects=projects, serves=serves)

    def ready() -> None:
        streams = sum(len(of_venue) for of_venue in streams_of(here.settings).values())
        where = f"; API at {process.address}" if serves else ""
        say(f"recording {streams} streams into {here.settings.data.dir}{where}; Ctrl-C or SIGTERM stops")
        if process.recovery is not None and (process.recovery.cuts or process.recovery.damage):
            say(f"recovered: {process.recovery}", style="yellow")

    loop.run(process.run(for_s=times.seconds(for_, option="--for"), on_ready=ready))
    say(_stopped(process.progress, projects=projects))
    return Exit.OK


def _stopped(progress: Progress, *, projects: bool) -> str:
    """What a graceful end has done."""
    tape = f"stopped: the tape has every frame received, to offset {progress.offset_durable}"
    if not projects:
        return tape
    left = progress.offset_durable - progress.offset_applied
    store = (
        f"the store has all of it but {left} frames, which it takes at the next start" if left else "so has the store"
    )
    return f"{tape}; {store}"


def _view(here: World, for_: str | None, *, projects: bool, serves: bool) -> int:
    view = View(here.settings, here.ports, here.telemetry, projects=projects, serves=serves)

    def ready() -> None:
        what = f"API at {view.address}" if serves else "projecting"
        say(f"{what}, from {here.settings.data.dir}; Ctrl-C or SIGTERM stops")

    loop.run(view.run(for_s=times.seconds(for_, option="--for"), on_ready=ready))
    say(f"stopped: applied to offset {view.progress.offset_applied}")
    return Exit.OK
