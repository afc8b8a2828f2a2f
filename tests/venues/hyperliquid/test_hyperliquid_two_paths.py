"""The fast reader and the careful one are the same reader: whatever bytes come, they agree and never raise."""

from __future__ import annotations

import json

import pytest
from hyperliquid_samples import (
    QUESTION,
    RECORDINGS,
    RECV_NS,
    WITHOUT_RECORDINGS,
    account,
    book,
    candle,
    context,
    decode_reply,
    frame,
    good_messages,
    message,
    recorded_frames,
    trade,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.validate import REASONS
from everytick.model.control import Asked
from everytick.model.frame import FrameKind
from everytick.venues import hyperliquid
from everytick.venues.hyperliquid import decoding, fast
from everytick.venues.hyperliquid.answers import understood

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["1.5", "0", "-1", "NaN", "1_0", "BTC", "B", "A", "1m", 1_737_918_844_873, 1_737_918_844]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
channels = st.sampled_from(["trades", "candle", "bbo", "l2Book", "allMids", "activeAssetCtx", "pong", "error", "other"])
PIECES = [*(bytes([byte]) for byte in b'0-.e",:[]{}\\ '), b"", b"NaN", b"null", b"\xff", b"9" * 25]
answers = {
    "recentTrades": [trade(0), trade(1)],
    "candleSnapshot": [candle(), candle(s="ETH")],
    "l2Book": book(),
    "allMids": {"BTC": "1.5", "ETH": "2.5"},
    "meta": {"universe": [{"name": "BTC"}]},
    "metaAndAssetCtxs": [{"universe": [{"name": "BTC"}]}, [context()]],
    "clearinghouseState": account(),
}


def check_both_paths(payload: bytes) -> None:
    decoded = hyperliquid.decode(frame(payload))
    assert decoded == decoding.decode_message_carefully(payload, RECV_NS)
    check_refusals(decoded)


def check_refusals(decoded) -> None:
    for refusal in decoded.refusals:
        assert refusal.reason in REASONS
        assert len(refusal.value) <= 120
        assert refusal.value.isprintable()
        assert refusal.index >= -1


@st.composite
def mutated(draw, payloads: list[bytes]) -> bytes:
    """A good message with some of its bytes changed, cut, repeated or replaced."""
    payload = bytearray(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        until = min(len(payload), at + draw(st.sampled_from([0, 1, 1, 2, 5, 30])))
        new = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
        payload[at:until] = new
    return bytes(payload)


def spoil(draw, document: object) -> object:
    """The document with one value somewhere in it replaced, added or taken away."""
    if isinstance(document, dict) and document and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(document)))
        if draw(st.integers(0, 5)) == 0:
            return {key: value for key, value in document.items() if key != name}
        return document | {name: spoil(draw, document[name])}
    if isinstance(document, list) and document and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], spoil(draw, document[at]), *document[at + 1 :]]
    return draw(json_values)


@settings(derandomize=True, max_examples=1_500, deadline=None)
@given(st.data())
def test_both_paths_agree_when_one_value_is_spoiled(data):
    document = spoil(data.draw, json.loads(data.draw(st.sampled_from(good_messages()))))
    check_both_paths(json.dumps(document).encode())


@settings(derandomize=True, max_examples=3_000, deadline=None)
@given(mutated(good_messages()))
def test_both_paths_agree_on_mutated_bytes(payload):
    check_both_paths(payload)


@settings(derandomize=True, max_examples=1_500, deadline=None)
@given(st.binary(max_size=60) | st.builds(message, channels, json_values))
def test_any_bytes_are_decoded_without_raising(payload):
    check_both_paths(payload)
    check_refusals(hyperliquid.decode(frame(payload, FrameKind.REPLY)))


@settings(derandomize=True, max_examples=1_500, deadline=None)
@given(st.data())
def test_both_paths_agree_on_answers(data):
    name = data.draw(st.sampled_from(sorted(answers)))
    body = json.dumps(spoil(data.draw, answers[name])).encode()
    decoded = decode_reply(name, body)
    plain = decoding.decode_body_carefully(body, RECV_NS, decoding._REPLIES[name][1])
    assert decoded == understood(Asked(name, QUESTION, 200), plain, RECV_NS)
    check_refusals(decoded)


@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.integers(0, 4), st.sampled_from(sorted(trade())), json_values)
def test_whatever_one_trade_holds_its_neighbours_survive(place, name, value):
    items = [trade(number) for number in range(5)]
    items[place] = trade(place, **{name: value})
    decoded = hyperliquid.decode(frame(message("trades", items)))
    others = [item["tid"] for index, item in enumerate(items) if index != place]
    survivors = [event.trade_id for event in decoded.events]
    if decoded.refusals:
        assert survivors == others
        assert [refusal.index for refusal in decoded.refusals] == [place]
    else:
        assert len(survivors) == 5


@pytest.mark.parametrize("payload", good_messages())
def test_the_fast_path_takes_every_good_message(payload):
    events = decoding._message_events(fast.read_message(payload), RECV_NS)
    decoded = decoding.decode_message_carefully(payload, RECV_NS)
    assert (events, []) == (decoded.events, decoded.refusals)


@pytest.mark.parametrize("name", sorted(answers))
def test_the_fast_path_takes_every_good_answer(name):
    body = json.dumps(answers[name]).encode()
    read_fast, read_carefully = decoding._REPLIES[name]
    decoded = decoding.decode_body_carefully(body, RECV_NS, read_carefully)
    assert (read_fast(body, RECV_NS), []) == (decoded.events, decoded.refusals)


@pytest.mark.parametrize("payload", good_messages()[:1] + good_messages()[3:5])
def test_a_message_cut_anywhere_is_refused_and_never_raises(payload):
    for length in range(len(payload)):
        decoded = hyperliquid.decode(frame(payload[:length]))
        assert decoded.events == []
        assert decoded.refusals[0].reason == "broken_json"


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=WITHOUT_RECORDINGS)
def test_both_paths_agree_on_every_flipped_bit_of_a_recorded_frame():
    payload = min((payload for _, payload in recorded_frames() if b'"trades"' in payload), key=len)
    for bit in range(len(payload) * 8):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        check_both_paths(bytes(flipped))
