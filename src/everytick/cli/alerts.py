"""`everytick alerts`: what is open, what waits, what is muted; a test of every channel; mute and unmute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from cyclopts import App, Parameter

from everytick.cli import times
from everytick.cli.console import ConfigOption, JsonOption, say, say_json, say_table
from everytick.cli.exits import Exit
from everytick.cli.session import World, world
from everytick.config.fields import closest
from everytick.errors import Refused, Retryable
from everytick.host import loop
from everytick.host.guarded import GuardedHttp
from everytick.model.alert import ALL, Message, Mute, Severity, State
from everytick.model.units import NS_PER_S
from everytick.ports import Notifier
from everytick.serve.alerts.rules import RULES
from everytick.wiring.alerting import channels_of, memory_of

app = App(
    name="alerts",
    help="Show, test or mute the alerts.",
    default_parameter=Parameter(negative=()),
)


@app.command(name="list")
def list_(*, config_file: ConfigOption = None, json: JsonOption = False) -> int:
    """List what is open, what waits for a channel and what is muted. Exit code 1 if anything is open.

    Example: everytick alerts list
    """
    here = world(config_file, is_quiet=True)
    memory = memory_of(here.settings)
    book, parcels = memory.load()
    now_ns = here.ports.clock.wall_ns()
    mutes = [mute for mute in memory.mutes() if mute.until_ns > now_ns]
    memory.close()
    found = [i for i in book.incidents.values() if i.is_open and RULES[i.rule].is_condition]
    if json:
        say_json({"open": found, "waiting": [parcel.message for parcel in parcels], "mutes": mutes})
        return Exit.NO if found else Exit.OK
    rows = [(i.severity.value, i.rule, i.subject, "yes" if i.is_told else "no", i.text) for i in found]
    say_table(["severity", "rule", "subject", "told", "text"], rows)
    for parcel in parcels:
        say(f"waits for {parcel.channel or 'any channel'}: {parcel.message.title}")
    for mute in mutes:
        say(f"muted until {times.utc(mute.until_ns)}: {mute.target}")
    say(f"{len(found)} open, {len(parcels)} waiting, {len(mutes)} muted")
    return Exit.NO if found else Exit.OK


@app.command(name="test")
def try_out(*, config_file: ConfigOption = None, json: JsonOption = False) -> int:
    """Send a test message to every channel that is set up. Exit code 1 if one does not take it.

    Example: everytick alerts test
    """
    here = world(config_file, is_quiet=True)
    answers = loop.run(_test(here))
    if not answers:
        raise Refused(
            "no channel has an address", path="alerts", suggestion="set alerts.discord_webhook_url or another one"
        )
    if json:
        say_json(answers)
    else:
        say_table(
            ["channel", "result", "detail"],
            [(name, "fail" if fault else "ok", fault or "took the test message") for name, fault in answers.items()],
        )
    return Exit.NO if any(answers.values()) else Exit.OK


@app.command
def mute(
    target: Annotated[str, Parameter(help="A rule, a rule:subject, or all.")],
    *,
    for_: Annotated[str, Parameter(name="--for", help="How long, for example 30m or 2h.")] = "1h",
    config_file: ConfigOption = None,
) -> int:
    """Keep messages back for a while; what is still open then is told.

    Example: everytick alerts mute gap --for 2h
    """
    here = world(config_file, is_quiet=True)
    seconds = times.seconds(for_, option="--for")
    until_ns = here.ports.clock.wall_ns() + int((seconds or 0) * NS_PER_S)
    rule = target.partition(":")[0]
    if rule != ALL and rule not in RULES:
        raise Refused("no such rule", path="target", value=target, suggestion=_nearest(rule))
    memory = memory_of(here.settings)
    memory.mute(Mute(target, until_ns))
    memory.close()
    say(f"muted until {times.utc(until_ns)}: {target}")
    return Exit.OK


@app.command
def unmute(target: str, *, config_file: ConfigOption = None) -> int:
    """Take a mute away. Exit code 1 if there was none.

    Example: everytick alerts unmute gap
    """
    memory = memory_of(world(config_file, is_quiet=True).settings)
    is_gone = memory.unmute(target)
    memory.close()
    say(f"no longer muted: {target}" if is_gone else f"was not muted: {target}")
    return Exit.OK if is_gone else Exit.NO


def _nearest(rule: str) -> str:
    return closest(rule, RULES) or f"there are: {', '.join(RULES)}, {ALL}"


async def _test(here: World) -> dict[str, str]:
    http = GuardedHttp(allow_private=here.settings.alerts.allow_private)
    channels = channels_of(here.settings, http, here.ports.clock, here.telemetry.redactor.clean)
    try:
        return await _send_to_all(channels, here.ports.clock.wall_ns())
    finally:
        await http.close()


async def _send_to_all(channels: Mapping[str, Notifier], now_ns: int) -> dict[str, str]:
    """Each channel's fault, empty where it took the message."""
    text = "everytick can reach you here."
    message = Message(
        f"{now_ns:x}-test", now_ns, "test", "channel", Severity.INFO, State.TEST, "test: a test message", text
    )
    faults = {}
    for name, channel in channels.items():
        faults[name] = ""
        try:
            await channel.notify(message)
        except (Retryable, Refused) as error:
            faults[name] = str(error)
    return faults
