"""The command line: fast help, plain messages, honest exit codes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

import everytick
from everytick.cli import main
from everytick.cli.registry import COMMANDS, Command
from everytick.errors import Fatal, Retryable
from tests import generated

ROOT = Path(__file__).resolve().parent.parent.parent
CANARY = "canary-7f3a9d-canary"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("EVERYTICK_"):
            monkeypatch.delenv(name)


def test_help_imports_neither_the_parser_nor_the_program() -> None:
    code = (
        "import sys; from everytick.cli import main; main(['--help']);"
        "print(sorted(n for n in sys.modules if n.partition('.')[0] in"
        " {'cyclopts', 'rich', 'msgspec', 'apsw', 'aiohttp', 'structlog', 'prometheus_client', 'uvicorn'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Commands:" in done.stdout


def test_both_ways_of_starting_are_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "everytick", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == everytick.__version__


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == everytick.__version__


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_registered_command_can_be_loaded(command: Command) -> None:
    module, _, name = command.target.partition(":")
    assert getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("words", list(generated.command_lines()), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: everytick {' '.join(words)}" in out
    assert f"Example: everytick {' '.join(words)}" in out or f"Usage: everytick {' '.join(words)} COMMAND" in out


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_every_way_to_ask_for_help_is_answered(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert all(command.help in out for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["docter"], "did you mean doctor?"),
        (["xyzzy"], "there are: "),
        (["config", "chek"], 'Did you mean "check"?'),
        (["config", "check", "--jsn"], "Did you mean --json?"),
        (["--nonsense"], "--nonsense"),
        (["doctor", "stray"], "stray"),
    ],
)
def test_a_slip_of_the_hand_gets_a_suggestion_and_code_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Retryable(f"no answer from postgresql://u:{CANARY}@db"), 3),
        (Fatal(f"second writer, token={CANARY}"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_family_of_errors_has_its_exit_code_and_one_clean_line(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: str | None = None, environ: object = None) -> None:
        raise error

    monkeypatch.setattr("everytick.config.examine", fail)
    assert main(["config", "check"]) == code
    err = capsys.readouterr().err
    assert CANARY not in err
    assert "Traceback" not in err


def test_an_unforeseen_error_shows_its_trace_without_secrets() -> None:
    code = (
        "import sys; from everytick import config; from everytick.cli import main\n"
        f"def fail(*_): raise ValueError('postgresql://u:{CANARY}@db')\n"
        "config.examine = fail; sys.exit(main(['config', 'check']))"
    )
    # From a file, as a program runs: the trace then quotes the lines of that file too.
    Path("broken.py").write_text(code.replace(CANARY, "' + '-'.join(['canary', '7f3a9d', 'canary']) + '"))
    done = subprocess.run([sys.executable, "broken.py"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "postgresql://***@db" in done.stderr
    assert CANARY not in done.stderr


def test_a_reader_who_leaves_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "everytick", "config", "schema"]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 0


def test_config_check_passes_without_any_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 0
    assert "no faults" in capsys.readouterr().out


def test_config_check_lists_every_fault_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.toml").write_text("[serve]\nport = 99999\nhots = 1\n")
    assert main(["config", "check", "--config", "bad.toml"]) == 2
    out = capsys.readouterr().out
    assert "serve.port = 99999 [bad.toml:2]" in out
    assert "did you mean host?" in out
    assert main(["config", "check", "--config", "bad.toml", "--json"]) == 2
    document = msgspec.json.decode(capsys.readouterr().out)
    assert [fault["path"] for fault in document["faults"]] == ["serve.hots", "serve.port"]


def test_config_show_gives_values_origins_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVERYTICK_SERVE__TOKEN", CANARY)
    Path("everytick.toml").write_text("[venues.hyperliquid]\ncoins = ['BTC', 'SOL']\n")
    assert main(["config", "show"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in out.splitlines()}
    assert lines["serve.token"][1:] == ["***", "EVERYTICK_SERVE__TOKEN"]
    assert lines["venues.hyperliquid.coins"][1:] == ["BTC,", "SOL", "everytick.toml:2"]
    assert main(["config", "show", "--json"]) == 0
    listing = capsys.readouterr().out
    assert CANARY not in out + listing
    assert {"path": "serve.port", "value": 8420, "origin": "default"} in msgspec.json.decode(listing)["settings"]


def test_config_schema_prints_what_the_docs_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    page = (ROOT / "docs" / "CONFIG.md").read_text()
    assert capsys.readouterr().out.strip() == generated.between_markers(page)


def test_a_pipe_gets_whole_lines_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    Path("everytick.toml").write_text(f"[data]\ndir = '{'x' * 300}'\n")
    assert main(["config", "show"]) == 0
    out = capsys.readouterr().out
    assert "x" * 300 in out
    assert "\x1b" not in out
