"""Runs of trades give what reading frame by frame gives, and end where a frame is not plainly right."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.venues.binance.binance_samples import GOOD, RECV_NS, TIME_MS, agg_trade, trade

from everytick.model.event import PlacedTrade, Trade
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.stream import Stream
from everytick.stores.protocol import placed_trade
from everytick.venues import binance

SOURCE = Source("binance", "ws", 3)

# What is in the place of a good trade, one at a time.
BAD: tuple[dict[str, Any], ...] = (
    *({"p": bad} for bad in ("NaN", "0", "-1", "1e5", "618'37.63", "01.5", "", 5, None)),
    *({"q": bad} for bad in ("Infinity", "0.0", "1_000")),
    *({"T": bad} for bad in (TIME_MS + 10_000_000, TIME_MS * 1_000, -1, "1", True)),
    *({"s": bad} for bad in ("", "BTC USDT", "x" * 65, 7)),
    *({"m": bad} for bad in ("true", 1, None)),
    *({number: bad} for number in "at" for bad in (-1, 2**63, "12'3", 1.5)),
)


def combined(stream: str, data: object) -> bytes:
    """As the venue writes it: without blanks."""
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def framed(payloads: Sequence[bytes], kind: FrameKind = FrameKind.MESSAGE) -> list[Frame]:
    return [Frame(offset, kind, SOURCE, RECV_NS, 0, payload) for offset, payload in enumerate(payloads)]


def run(frames: Sequence[Frame]) -> tuple[int, dict[Stream, list[PlacedTrade]]]:
    found: dict[Stream, list[PlacedTrade]] = {}
    end = binance.trade_run(frames, 0, len(frames), found)
    return end, {stream: rows for stream, rows in found.items() if rows}


def one_by_one(frames: Sequence[Frame]) -> dict[Stream, list[PlacedTrade]]:
    found: dict[Stream, list[PlacedTrade]] = {}
    for frame in frames:
        for event in binance.decode(frame).events:
            assert isinstance(event, Trade)
            found.setdefault(event.stream, []).append(placed_trade(event, frame.offset, frame.ts_recv_ns))
    return found


def good(dice: random.Random, number: int) -> bytes:
    symbol = dice.choice(("BTCUSDT", "ETHUSDT", "1000SHIBUSDT"))
    kind, make = dice.choice((("trade", trade), ("aggTrade", agg_trade)))
    numbers = {"t": number} if kind == "trade" else {"a": number}
    price, size = f"{dice.randrange(1, 10**7)}.{dice.randrange(10**8):08d}", f"0.{dice.randrange(1, 10**5):05d}"
    message = make(s=symbol, p=price, q=size, m=dice.random() < 0.5, T=TIME_MS - dice.randrange(5_000), **numbers)
    return combined(f"{symbol.lower()}@{kind}", message)


@given(st.integers(0, 2**32), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_a_run_gives_what_each_frame_gives(seed: int, count: int) -> None:
    dice = random.Random(seed)
    frames = framed([good(dice, number) for number in range(count)])
    end, found = run(frames)
    assert end == count
    assert found == one_by_one(frames)


@pytest.mark.parametrize("change", BAD, ids=lambda change: json.dumps(change))
@pytest.mark.parametrize(("topic", "make"), [("trade", trade), ("aggTrade", agg_trade)])
def test_a_run_ends_before_a_trade_that_is_not_right(change: dict[str, Any], topic: str, make: Any) -> None:
    name = f"btcusdt@{topic}"
    frames = framed([combined(name, make()), combined(name, make(**change)), combined(name, make())])
    end, found = run(frames)
    is_other_field = not (change.keys() & make().keys())
    assert end == (3 if is_other_field else 1)
    assert found == one_by_one(frames[:end])


@pytest.mark.parametrize(
    "payload",
    [
        *(combined(name, data) for name, data in GOOD.items() if not name.lower().endswith("trade")),
        *(b"", b"{", b"null", b'{"stream":"btcusdt@trade"}', json.dumps(trade()).encode()),
        combined("btcusdt@trade", agg_trade()),
        combined("btcusdt@trade", trade()).replace(b"btcusdt", b"btc\\u0075sdt"),
        combined("btcusdt@trade", trade())[:-1] + b',"stream":"btcusdt@kline_1m"}',
        b" " + combined("btcusdt@trade", trade()),
        combined("btcüsdt@trade", trade()),
    ],
)
def test_whatever_else_comes_is_left_to_the_careful_road(payload: bytes) -> None:
    frames = framed([combined("btcusdt@trade", trade()), payload])
    end, found = run(frames)
    assert end == 1
    assert found == one_by_one(frames[:1])


@given(st.binary(max_size=200))
def test_no_bytes_break_a_run(payload: bytes) -> None:
    for given_bytes in (payload, b'{"stream":"' + payload, combined("b@trade", trade())[: len(payload)]):
        frames = framed([given_bytes])
        end, found = run(frames)
        assert found == (one_by_one(frames) if end else {})


def test_a_run_is_of_one_source_and_of_messages_alone() -> None:
    message = combined("btcusdt@trade", trade())
    frames = framed([message, message])
    frames[1] = Frame(1, FrameKind.MESSAGE, Source("binance", "ws", 9), RECV_NS, 0, message)
    assert run(frames)[0] == 1
    assert run(framed([message], FrameKind.REPLY))[0] == 0
