"""What other people's code writes to Python's `logging`: taken over as facts, so that it too passes the mask."""

from __future__ import annotations

import logging

from everytick.telemetry.facts import Telemetry
from everytick.telemetry.log import LEVELS


class ForeignLog(logging.Handler):
    """Turns each record into a fact. Of an error's traceback only its type and words go on: frames hold values."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        self._telemetry = telemetry

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`. A record that cannot be formatted is told by its template."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's bad format string must not stop what it was doing
            text = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = f"{text}: {type(error).__name__}: {error}"
        if record.levelno >= logging.WARNING:
            self._telemetry.library_warned(record.name, text)
        else:
            self._telemetry.library_said(record.name, text)


def take_over(telemetry: Telemetry, level: str) -> None:
    """Let every record of `level` and above reach `telemetry` and nothing else; an earlier taker is replaced."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, (ForeignLog, logging.StreamHandler)):
            root.removeHandler(handler)
    root.addHandler(ForeignLog(telemetry))
    root.setLevel(LEVELS[level])
    logging.captureWarnings(True)  # a warning quotes the line that caused it
