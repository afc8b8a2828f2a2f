"""The parser over all commands, and what each family of errors means for the exit code."""

from __future__ import annotations

import difflib
import io
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

from cyclopts import App, CycloptsError, Parameter

from everytick import __version__
from everytick.cli.exits import Exit
from everytick.cli.registry import COMMANDS
from everytick.errors import Fatal, Refused, Retryable
from everytick.model.secret import redact


def build() -> App:
    """The whole command line. Commands stay import strings until one is typed."""
    app = App(
        name="everytick",
        help="Record every tick, prove what is missing, act on the same tape.",
        version=__version__,
        default_parameter=Parameter(negative=()),
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for command in COMMANDS:
        # The help of a command is its own docstring, read when it is typed: with exit codes and an example.
        app.command(command.target, name=command.name)
    return app


def run(words: Sequence[str]) -> int:
    """Parse and run. Every error that we raise on purpose is one clear message and an exit code."""
    sys.excepthook = _excepthook
    names = [command.name for command in COMMANDS]
    if not words[0].startswith("-") and words[0] not in names:
        # Told here, because the parser would import every command to tell it.
        near = difflib.get_close_matches(words[0], names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
        return _refuse(f"no command {words[0]!r} ({hint})")
    try:
        result = build()(list(words))
        sys.stdout.flush()
    except CycloptsError as error:
        return _refuse(f"{error}\neverytick --help lists the commands, everytick COMMAND --help its options")
    except Refused as error:
        return _refuse(str(error))
    except Retryable as error:
        return _say(f"{error}", Exit.UNAVAILABLE)
    except Fatal as error:
        return _say(f"stopped: {error}", Exit.FATAL)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has enough (`| head`). Without this, Python would complain once more at exit.
        sys.stdout = io.StringIO()
        return Exit.OK
    return int(result) if isinstance(result, int) else Exit.OK


def _refuse(text: str) -> int:
    return _say(text, Exit.REFUSED)


def _say(text: str, code: Exit) -> int:
    print(f"everytick: {redact(text)}", file=sys.stderr)
    return code


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nobody foresaw: the whole trace, without secrets."""
    print(redact("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr)
