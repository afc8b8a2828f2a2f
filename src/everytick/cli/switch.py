"""`everytick halt`, `everytick arm` and `everytick trading`: the kill switch, also without a running process."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from everytick import config
from everytick.cli import times
from everytick.cli.console import ConfigOption, JsonOption, say, say_json, say_table
from everytick.cli.exits import Exit
from everytick.config import Settings
from everytick.host.clock import HostClock
from everytick.model.units import ns_from_ms
from everytick.supervise import switch
from everytick.supervise.switch import SwitchState, Trading

ReasonArgument = Annotated[str, Parameter(help="Why, for whoever reads the record later.")]


def halt(reason: ReasonArgument, *, config_file: ConfigOption = None) -> int:
    """Halt trading: no order goes out until someone arms it again, restarts included.

    It is latched in the data folder; a process that runs there heeds it within half a second.

    Example: everytick halt "odd prices on BTC"
    """
    return _change(Trading.HALTED, reason, config_file)


def arm(reason: ReasonArgument, *, config_file: ConfigOption = None) -> int:
    """Arm trading again after a halt.

    Example: everytick arm "prices are as at the venue again"
    """
    return _change(Trading.ARMED, reason, config_file)


def trading(
    *,
    limit: Annotated[int, Parameter(help="At most this many past changes.")] = 10,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Show the kill switch and who changed it. Exit code 0 if trading is armed, 1 if it is halted.

    Example: everytick trading --json
    """
    settings, folder = _folder(config_file)
    state = switch.read(folder, is_enabled=settings.trading.enabled)
    past = switch.history(folder, limit)
    is_whole = switch.is_record_whole(folder)
    if json:
        say_json({**msgspec.to_builtins(state), "history": past, "record_whole": is_whole})
    else:
        say(f"trading is {state.trading}: {state.reason} ({state.who})", style="" if state.is_armed else "bold red")
        if past:
            say_table(["at (UTC)", "state", "by", "reason"], [(_at(s), s.trading.value, s.who, s.reason) for s in past])
        if not is_whole:
            say(f"the record {folder / switch.RECORD} is not whole: a line was changed, torn or taken out", style="red")
    return Exit.OK if state.is_armed else Exit.NO


def _change(to: Trading, reason: str, config_file: str | None) -> int:
    settings, folder = _folder(config_file)
    who = f"{getpass.getuser()} (command line)"
    state = switch.change(folder, HostClock(), to, reason, who, is_enabled=settings.trading.enabled)
    say(f"trading is {state.trading}, change {state.number}: {state.reason}")
    return Exit.OK


def _folder(config_file: str | None) -> tuple[Settings, Path]:
    settings = config.load(config_file).settings
    return settings, Path(settings.data.dir)


def _at(state: SwitchState) -> str:
    return times.utc(ns_from_ms(state.ts_ms))
