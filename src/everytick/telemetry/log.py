"""The log: one line for each fact, on stderr; JSON for machines, aligned words for a terminal. Never a secret."""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO, Literal, cast

import msgspec
import structlog
from msgspec import Meta

from everytick.model.secret import Redactor, Secret, encode_secret
from everytick.model.units import NS_PER_S, NS_PER_US
from everytick.ports import Clock

Level = Literal["debug", "info", "warning", "error", "critical"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

TEXT_CHARACTERS_MAX = 500  # of one field: a fact is a line, not a place for a frame

Line = MutableMapping[str, Any]


class LogSettings(msgspec.Struct, frozen=True):
    """The log on stderr."""

    level: Annotated[Level, Meta(description="Facts below this level are counted, not written.")] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="`auto`: console in a terminal, else json. Secrets are masked in every form."),
    ] = "auto"


class Log:
    """Writes facts. `redactor` masks known secrets and whatever looks like one."""

    def __init__(
        self,
        clock: Clock,
        settings: LogSettings,
        out: BinaryIO | None,
        redactor: Redactor,
        on_lost: Callable[[], None],
    ) -> None:
        stream = out if out is not None else sys.stderr.buffer
        self._clock = clock
        self._redactor = redactor
        is_console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
        render = _Console(colour=stream.isatty()) if is_console else _json
        self._logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
            _Sink(stream, on_lost),
            processors=[self._stamp, self._clean, render],
            wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
            context_class=dict,
            cache_logger_on_first_use=True,
        )

    def write(self, level: Level, fact: str, fields: dict[str, object]) -> None:
        """One line. Nothing at all is done for a level below the setting."""
        cast("Callable[..., None]", getattr(self._logger, level))(fact, **fields)

    def _stamp(self, _logger: object, method: str, line: Line) -> Line:
        return {"ts": _utc(self._clock.wall_ns()), "level": method, "fact": line.pop("event"), **line}

    def _clean(self, _logger: object, _method: str, line: Line) -> Line:
        return {name: self._safe(value) for name, value in line.items()}

    def _safe(self, value: object) -> object:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Secret):
            return value.shown()
        if isinstance(value, (list, tuple)):
            return [self._safe(item) for item in value]
        if isinstance(value, BaseException):
            return self._text(f"{type(value).__name__}: {value}")
        return self._text(value if isinstance(value, str) else str(value))

    def _text(self, text: str) -> str:
        # Cut after masking, with room for the mask to see a secret that lies across the cut.
        text = self._redactor.clean(text[: TEXT_CHARACTERS_MAX * 8])
        # A lone surrogate in a venue's text is no reason to lose the line.
        text = text.encode(errors="backslashreplace").decode()
        return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


class _Sink:
    """Where structlog hands rendered lines: every level is the same write."""

    def __init__(self, stream: BinaryIO, on_lost: Callable[[], None]) -> None:
        self._stream = stream
        self._on_lost = on_lost

    def _put(self, line: bytes) -> None:
        try:
            # One write, so that lines of two threads do not mix.
            self._stream.write(line + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            # stderr is gone or full. Recording matters more than the log, and the metric tells.
            self._on_lost()

    debug = info = warning = error = critical = _put


def _json(_logger: object, _method: str, line: Line) -> bytes:
    return msgspec.json.encode(line, enc_hook=encode_secret)


_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


class _Console:
    """`12:01:02.345  warning  gap_found  stream=... cause=...`"""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: object, _method: str, line: Line) -> bytes:
        stamp, level, fact = (str(line.pop(name)) for name in ("ts", "level", "fact"))
        head = f"{level:<8}"
        if self._colour:
            head = f"\x1b[{_COLOURS[level]}m{head}\x1b[0m"
        words = " ".join(f"{name}={_plain(value)}" for name, value in line.items())
        return f"{stamp[11:23]}  {head}  {fact:<24}  {words}".rstrip().encode()


def _plain(value: object) -> str:
    """A value without quotes where it is one printable word, else as JSON: control characters reach no terminal."""
    if isinstance(value, str) and value and value.isprintable() and not set(value) & set(" \"'"):
        return value
    text = msgspec.json.encode(value).decode()
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _utc(ts_ns: int) -> str:
    seconds, rest_ns = divmod(ts_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // NS_PER_US:06d}Z"
