"""What is printed when an error escapes everything: the whole trace, without secrets, from the process and threads."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType


def guard(clean: Callable[[str], str]) -> None:
    """From now on errors that nobody catches are printed by way of `clean`.

    A hook of threads that somebody else has set (a test runner) is left alone.
    """

    def say(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        sys.stderr.write(clean("".join(traceback.format_exception(kind, error, trace))) + "\n")

    sys.excepthook = say
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda args: say(args.exc_type, args.exc_value, args.exc_traceback)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda args: say(args.exc_type, args.exc_value, args.exc_traceback)
