"""Real recordings as timed frames, grouped into connection lives: what a player needs to play them again.

Two layouts are read: CSV with one trade per row (`timestamp,price,size,side,trade_id,exchange_timestamp`, one
frame = the rows that share a `timestamp`), and raw frames, one `<local ns> <json>` per line. Either may be
gzipped. Nothing is lost in reading: a line that is not understood is refused with its number.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from everytick.errors import Refused
from everytick.model.units import NS_PER_MS, NS_PER_S
from everytick.sim.prints import Print

REPLAY_TRADES = 30
# A live frame carries blocks of the last moments; a replay of 30 trades reaches back much further. Live frames
# that arrive late (seen: 3 s) are late as a whole: their span stays small, which tells them from a replay.
REPLAY_AGE_MS_MIN = 5_000
REPLAY_SPAN_MS_MIN = 1_500
# A venue's reconnect is preceded by silence on the line; a live frame that repeats ids right after another is
# no reconnect.
REPLAY_SILENCE_NS_MIN = NS_PER_S

_CSV_HEADER = ["timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"]
_SIDES = {"buy": "B", "sell": "A"}
_COIN_IN_NAME = re.compile(r"_trades_([^_.]+)\.csv(\.gz)?$")


class TimedFrame(msgspec.Struct, frozen=True, gc=False):
    """One recorded message. `payload` is empty where only the trades were recorded: they are to be spelled."""

    ts_ns: int
    channel: str
    coin: str
    trades: tuple[Print, ...]
    payload: bytes = b""
    interval: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What one subscribes to in order to get it: channel, coin, interval."""
        return (self.channel, self.coin, self.interval)


class Recording(msgspec.Struct, frozen=True):
    """A file. A life is what one connection carried, first frame to last, never empty."""

    name: str
    raw: bool
    lives: tuple[tuple[TimedFrame, ...], ...]

    @property
    def coins(self) -> tuple[str, ...]:
        """Every coin in it, in order of appearance."""
        return tuple(dict.fromkeys(frame.coin for life in self.lives for frame in life if frame.coin))

    @property
    def keys(self) -> tuple[tuple[str, str, str], ...]:
        """Every (channel, coin, interval) in it, in order of appearance: what a player's client subscribes to."""
        return tuple(dict.fromkeys(frame.key for life in self.lives for frame in life))


def read_recording(path: Path) -> Recording:
    """The recording in a file, by its layout. Raises Refused, naming the line that cannot be read."""
    text = read_text(path)
    if text.startswith(",".join(_CSV_HEADER)):
        match = _COIN_IN_NAME.search(path.name)
        if match is None:
            raise Refused("the name does not tell the coin", path=str(path), suggestion="name it ..._trades_COIN.csv")
        return Recording(path.name, False, split_lives(read_csv(text, match.group(1), path.name)))
    return Recording(path.name, True, split_lives(read_raw(text, path.name)))


def read_text(path: Path) -> str:
    """A file's text, gzipped or not. Raises Refused."""
    try:
        blob = path.read_bytes()
        if blob[:2] == b"\x1f\x8b":
            blob = gzip.decompress(blob)
        return blob.decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Refused(f"cannot be read: {error}", path=str(path)) from error


def read_csv(text: str, coin: str, name: str) -> Iterator[TimedFrame]:
    """The frames of a CSV recording: rows sharing one `timestamp`, in the order of the file."""
    rows = csv.reader(io.StringIO(text))
    if next(rows, None) != _CSV_HEADER:
        raise Refused("the first line is not the header", path=f"{name}:1", suggestion=",".join(_CSV_HEADER))
    stamp, trades = "", list[Print]()
    for number, row in enumerate(rows, start=2):
        try:
            trade = _row(row, coin)
        except (ValueError, KeyError, InvalidOperation) as error:
            raise Refused(f"not a trade: {row!r}", path=f"{name}:{number}") from error
        if row[0] != stamp and trades:
            yield TimedFrame(_seconds_ns(stamp), "trades", coin, tuple(trades))
            trades = []
        stamp = row[0]
        trades.append(trade)
    if trades:
        yield TimedFrame(_seconds_ns(stamp), "trades", coin, tuple(trades))


def _row(row: list[str], coin: str) -> Print:
    stamp, px, sz, side, tid, time_ms = row
    _seconds_ns(stamp)
    return Print(coin, _SIDES[side], _plain(px), _plain(sz), int(time_ms), int(tid))


def _seconds_ns(text: str) -> int:
    return int(Decimal(text) * NS_PER_S)


def _plain(text: str) -> str:
    """The same number as the venue writes it: `1e-05` came from the recorder's own float."""
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a number")
    return f"{number:f}" if "e" in text or "E" in text else text


class _WireTrade(msgspec.Struct):
    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int


class _Envelope(msgspec.Struct):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _CoinOnly(msgspec.Struct):
    coin: str = ""
    s: str = ""
    i: str = ""


_envelope = msgspec.json.Decoder(_Envelope)
_trades = msgspec.json.Decoder(list[_WireTrade])
_coin_only = msgspec.json.Decoder(_CoinOnly)


Parse = Callable[[int, bytes], TimedFrame]


def read_raw(text: str, name: str, parse: Parse | None = None) -> Iterator[TimedFrame]:
    """The frames of a raw recording, their bytes untouched. Empty lines are passed over.

    `parse` tells what a player must know of one message; without it, the messages are Hyperliquid's.
    """
    read = parse or parse_message
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        stamp, _, payload = line.rstrip("\r").partition(" ")
        try:
            yield read(int(stamp), payload.encode())
        except (ValueError, msgspec.MsgspecError) as error:
            raise Refused(f"not `<local ns> <json>`: {line[:80]!r}", path=f"{name}:{number}") from error


def parse_message(ts_ns: int, payload: bytes) -> TimedFrame:
    """One message of the venue with what a player must know of it: its channel, its coin, its trades."""
    envelope = _envelope.decode(payload)
    if envelope.channel == "trades":
        trades = tuple(Print(t.coin, t.side, t.px, t.sz, t.time, t.tid) for t in _trades.decode(envelope.data))
        return TimedFrame(ts_ns, "trades", trades[0].coin if trades else "", trades, payload)
    head = _CoinOnly()
    if bytes(envelope.data).lstrip()[:1] == b"{":
        head = _coin_only.decode(envelope.data)
    return TimedFrame(ts_ns, envelope.channel, head.coin or head.s, (), payload, head.i)


def split_lives(frames: Iterable[TimedFrame]) -> tuple[tuple[TimedFrame, ...], ...]:
    """Cut a file's frames where a replay shows that the recorder had reconnected.

    A file may carry several coins and channels on one connection: the first replay of any coin begins the
    life, and the replays of the other coins that follow belong to it.
    """
    lives: list[list[TimedFrame]] = []
    seen: dict[str, set[tuple[int, int]]] = {}
    replayed: set[str] = set()
    last_ns: dict[tuple[str, str], int] = {}
    for frame in frames:
        known = seen.setdefault(frame.coin, set())
        silence_ns = frame.ts_ns - last_ns.get((frame.channel, frame.coin), frame.ts_ns)
        if not lives:
            lives.append([])
        elif frame.coin in replayed and is_replay(frame, known, silence_ns):
            lives.append([])
            replayed = set()
        if frame.channel == "trades":
            replayed.add(frame.coin)
            known.update(trade.key for trade in frame.trades)
        last_ns[frame.channel, frame.coin] = frame.ts_ns
        lives[-1].append(frame)
    return tuple(tuple(life) for life in lives)


def is_replay(frame: TimedFrame, known: set[tuple[int, int]], silence_ns: int) -> bool:
    """Whether a trades frame is the venue's replay after a subscribe rather than live.

    The venue sends the 30 newest trades, ascending, without a flag. Sure when it repeats a trade we have seen
    after a silence; else told by its first trade's age and by its span, both of which a live frame lacks.
    """
    times = [trade.time_ms for trade in frame.trades]
    if len(times) != REPLAY_TRADES or times != sorted(times) or silence_ns < REPLAY_SILENCE_NS_MIN:
        return False
    if any(trade.key in known for trade in frame.trades):
        return True
    age_ms = frame.ts_ns // NS_PER_MS - times[0]
    return age_ms >= REPLAY_AGE_MS_MIN and times[-1] - times[0] > REPLAY_SPAN_MS_MIN
