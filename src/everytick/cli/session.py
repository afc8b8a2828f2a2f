"""What commands that run the program share: settings, the reporter of facts, and the real world."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from everytick import config
from everytick.config import Settings
from everytick.host import last_words
from everytick.model.secret import Secret
from everytick.telemetry import Telemetry
from everytick.telemetry.foreign import take_over
from everytick.wiring.parts import Ports, host_ports


class World(msgspec.Struct, frozen=True):
    """Settings, the reporter of facts, and the real world."""

    settings: Settings
    telemetry: Telemetry
    ports: Ports


def world(config_file: str | None, *, is_quiet: bool = False) -> World:
    """The world as the settings describe it. Raises BadSettings with every fault at once.

    `is_quiet` lets only errors into the log, for commands whose output is their own.
    """
    found = config.load(config_file)
    settings, ports = found.settings, host_ports()
    log = msgspec.structs.replace(settings.log, level="error") if is_quiet else settings.log
    telemetry = Telemetry(ports.clock, log, secrets=_secrets(settings))
    last_words.guard(telemetry.redactor.clean)
    if not is_quiet:
        take_over(telemetry, log.level)
        named = [shown.path for shown in found.shown if shown.origin.replace("_", "").isupper()]
        telemetry.config_loaded(found.source, named)
    return World(settings, telemetry, ports)


def _secrets(part: msgspec.Struct) -> Iterator[Secret]:
    """Every secret in the settings, however deep: one that is added tomorrow is masked tomorrow."""
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, Secret):
            yield value
        elif isinstance(value, msgspec.Struct):
            yield from _secrets(value)
