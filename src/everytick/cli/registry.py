"""Every command, by import string: one line here and one file beside this one. Nothing here imports a command."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True):
    """One command: `target` is `module:name` of a function or a cyclopts App, loaded when it is typed."""

    name: str
    target: str
    help: str


COMMANDS: tuple[Command, ...] = (
    Command("demo", "everytick.cli.demo:demo", "Record a simulated venue that breaks now and then, and audit it."),
    Command("drill", "everytick.cli.drill:drill", "Play a recording through venue and recorder, and audit it."),
    Command("config", "everytick.cli.config_command:app", "Check, show or explain the settings."),
    Command("doctor", "everytick.cli.doctor:doctor", "Check this machine: disk, clock, port, settings, store, tape."),
)


def root_help() -> str:
    """What `everytick --help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    lines = "\n".join(f"  {command.name:<{width}}  {command.help}" for command in COMMANDS)
    return (
        "Usage: everytick COMMAND [OPTIONS]\n\n"
        "Record every tick, prove what is missing, act on the same tape.\n\n"
        f"Commands:\n{lines}\n\n"
        "everytick COMMAND --help explains a command; everytick --version prints the version."
    )
