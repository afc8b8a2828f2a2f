"""Every command, by import string: one line here and one file beside this one. Nothing here imports a command.

A NamedTuple and no Struct: importing msgspec would be most of the time that `everytick --help` takes.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """One command: `target` is `module:name` of a function or a cyclopts App, loaded when it is typed."""

    name: str
    target: str
    help: str


COMMANDS: tuple[Command, ...] = (
    Command("demo", "everytick.cli.demo:demo", "Record a simulated venue that breaks now and then, and audit it."),
    Command("drill", "everytick.cli.drill:drill", "Play a recording through venue and recorder, and audit it."),
    Command("run", "everytick.cli.run:run", "Record, project and serve in one process."),
    Command("record", "everytick.cli.run:record", "Record to the tape only."),
    Command("project", "everytick.cli.run:project", "Keep the store up with a tape that another process records."),
    Command("serve", "everytick.cli.run:serve", "Answer over HTTP from the store."),
    Command("gaps", "everytick.cli.ledger:gaps", "List what is known to be missing, and what was proved lossless."),
    Command("coverage", "everytick.cli.ledger:coverage", "Is this range complete? Yes or no, with the evidence."),
    Command("backfill", "everytick.cli.backfill:backfill", "Close open gaps from the venues' history and the archive."),
    Command("audit", "everytick.cli.backfill:audit", "Compare what is held with what the venues say happened."),
    Command("verify", "everytick.cli.tape_commands:verify", "Check every byte of the tape."),
    Command("replay", "everytick.cli.tape_commands:replay", "Print the tape's events, decoded afresh."),
    Command("rebuild", "everytick.cli.tape_commands:rebuild", "Build the store again from the tape, and compare."),
    Command("sim", "everytick.cli.sim_command:sim", "Serve a simulated venue on loopback."),
    Command("simulate", "everytick.cli.simulate:command", "Run the recorder on a simulated machine that fails."),
    Command("halt", "everytick.cli.switch:halt", "Halt trading, latched until someone arms it again."),
    Command("arm", "everytick.cli.switch:arm", "Arm trading again after a halt."),
    Command("trading", "everytick.cli.switch:trading", "Is trading armed or halted, since when, by whom and why?"),
    Command("alerts", "everytick.cli.alerts:app", "Show, test or mute the alerts."),
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
