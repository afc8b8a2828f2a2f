"""`everytick config`: check, show and explain the settings."""

from __future__ import annotations

from cyclopts import App, Parameter

from everytick import config
from everytick.cli.console import ConfigOption, JsonOption, say, say_json, say_table
from everytick.cli.exits import Exit
from everytick.config import describe
from everytick.config.faults import Fault

app = App(
    name="config",
    help="Check, show or explain the settings.",
    default_parameter=Parameter(negative=()),
)


@app.command
def check(*, config_file: ConfigOption = None, json: JsonOption = False) -> int:
    """List every fault in the settings, all at once. Exit code 2 if there is any.

    Example: everytick config check --config everytick.toml
    """
    found = config.examine(config_file)
    if json:
        say_json({"source": found.source, "faults": found.faults})
    elif found.faults:
        _say_faults(found.faults)
    else:
        changed = sum(shown.origin != config.DEFAULT for shown in found.shown)
        source = found.source or "no settings file"
        say(f"{source}: {len(found.shown)} settings, {changed} not at their default, no faults")
    return Exit.REFUSED if found.faults else Exit.OK


@app.command
def show(*, config_file: ConfigOption = None, json: JsonOption = False) -> int:
    """Print every setting with where its value comes from; secrets as ***. Exit code 2 on faults.

    Example: everytick config show
    """
    found = config.examine(config_file)
    if json:
        say_json({"source": found.source, "settings": found.shown, "faults": found.faults})
    else:
        say_table(["setting", "value", "origin"], [(s.path, _text(s.value), s.origin) for s in found.shown])
        if found.faults:
            say()
            _say_faults(found.faults)
    return Exit.REFUSED if found.faults else Exit.OK


@app.command
def schema(*, json: JsonOption = False) -> int:
    """Explain every setting: a Markdown table, or a JSON schema for editors with --json.

    Example: everytick config schema --json
    """
    if json:
        say_json(describe.json_schema())
    else:
        say(describe.markdown())
    return Exit.OK


def _say_faults(faults: tuple[Fault, ...]) -> None:
    say(f"{len(faults)} fault{'s' if len(faults) != 1 else ''}:", style="bold red")
    for fault in faults:
        say(f"  {fault}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
