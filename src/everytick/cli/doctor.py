"""`everytick doctor`: is this machine fit to record, and what to do about it if not."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from everytick import config
from everytick.cli import checks
from everytick.cli.console import ConfigOption, JsonOption, say, say_json, say_table
from everytick.cli.exits import Exit
from everytick.host.clock import HostClock


async def doctor(
    *,
    online: Annotated[bool, Parameter(help="Ask the venues too: one small request each.")] = False,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Check this machine: Python, SQLite, settings, disk, clock, port, store and tape.

    Writes nothing but one small file that it removes. Exit code 1 if anything fails; warnings do not.

    Example: everytick doctor --online
    """
    findings = await examine(config_file, is_online=online)
    failed = sum(finding.verdict == "fail" for finding in findings)
    if json:
        say_json({"ok": not failed, "checks": findings})
    else:
        say_table(["check", "verdict", "found"], [(f.name, f.verdict, f.found) for f in findings])
        for finding in findings:
            if finding.action:
                say(f"{finding.name}: {finding.action}")
        warned = sum(finding.verdict == "warn" for finding in findings)
        say(f"{len(findings)} checks, {failed} failed, {warned} warnings", style="bold")
    return Exit.NO if failed else Exit.OK


async def examine(config_file: str | None, *, is_online: bool) -> list[checks.Finding]:
    """Every finding, in the order in which trouble is best mended."""
    clock = HostClock()
    examined = config.examine(config_file)
    values = examined.settings
    findings = [checks.python(), checks.sqlite(), *checks.settings(examined)]
    findings += checks.folder(values, clock)
    findings += [await checks.clocks(clock), await checks.port(values), checks.store(values), checks.tape(values)]
    if is_online:
        findings += await checks.online(values)
    return findings
