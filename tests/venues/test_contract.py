"""What every venue keeps, whatever it speaks. A new venue in the registry is held to all of this."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everytick.core.validate import REASONS
from everytick.errors import Refused
from everytick.model.frame import Frame, FrameKind, Source
from everytick.model.ledger import Gap, GapKind, GapState
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.venues.protocol import Request, Rule, Tick, Venue
from everytick.venues.registry import QUALITY_RULES, VENUES, venue

RECV_NS = 1_757_015_216_673_878_000
every_venue = pytest.mark.parametrize("one", VENUES.values(), ids=VENUES)


def streams_of(one: Venue, coin: str = "BTC") -> list[Stream]:
    return [Stream(one.NAME, kind, coin, "1m" if kind is Kind.CANDLES else "") for kind in one.SEQUENCING]


def a_gap(stream: Stream) -> Gap:
    from_ns, to_ns = RECV_NS - 3_600 * NS_PER_S, RECV_NS
    return Gap(stream, from_ns, to_ns, 1, GapKind.SUSPECTED, "cut", GapState.OPEN, -1, -1, -1, RECV_NS)


def a_frame(one: Venue, kind: FrameKind, payload: bytes) -> Frame:
    return Frame(1, kind, Source(one.NAME, "ws", 0), RECV_NS, 0, payload)


@every_venue
def test_a_venue_is_registered_under_its_own_name(one):
    assert VENUES[one.NAME] is one
    assert re.fullmatch(r"[a-z][a-z0-9_]*", one.NAME)


@every_venue
def test_endpoints_are_encrypted_public_addresses(one):
    assert one.ENDPOINTS["ws"].startswith("wss://")
    assert one.ENDPOINTS["http"].startswith("https://")
    assert not one.ENDPOINTS["http"].endswith("/")


@every_venue
def test_every_limit_is_set(one):
    for name in one.LIMITS.__struct_fields__:
        assert getattr(one.LIMITS, name) > 0, name


@every_venue
def test_every_kind_of_stream_has_a_rule_that_tells_loss(one):
    assert one.SEQUENCING
    for kind, rule in one.SEQUENCING.items():
        assert kind in Kind
        assert rule in Rule


@every_venue
def test_the_table_of_quality_answers_every_rule_and_no_other(one):
    assert set(one.QUALITY) == set(QUALITY_RULES)
    for rule, answer in one.QUALITY.items():
        assert answer == "done" or re.fullmatch(r"exempt: .{20,}", answer), f"{rule}: {answer}"


@every_venue
def test_a_session_asks_for_its_streams_and_waits_for_their_confirmation(one):
    streams = streams_of(one)
    session = one.session(streams)
    opening = session.open(0)
    assert opening
    assert all(isinstance(text, bytes) and text for text in opening)
    assert list(session.unconfirmed()) == streams


@every_venue
def test_a_session_speaks_into_a_silence_and_gives_up_a_mute_line(one):
    session = one.session(streams_of(one))
    session.open(0)
    spoke = False
    for second in range(1, 600):
        tick = session.tick(second * NS_PER_S)
        assert isinstance(tick, Tick)
        spoke = spoke or bool(tick.send)
        if tick.close:
            break
    assert spoke
    assert tick.close == "mute"


@every_venue
def test_a_line_that_is_heard_is_never_given_up(one):
    session = one.session(streams_of(one))
    session.open(0)
    for second in range(1, 600):
        session.receive([b"anything"], second * NS_PER_S)
        assert session.tick(second * NS_PER_S).close == ""


@every_venue
def test_a_stream_of_another_venue_is_refused(one):
    with pytest.raises(Refused):
        one.session([Stream(f"not_{one.NAME}", next(iter(one.SEQUENCING)), "BTC", "1m")])


@every_venue
def test_frames_about_connections_hold_nothing_for_a_venue(one):
    for kind in FrameKind:
        if kind >= FrameKind.START:
            decoded = one.decode(a_frame(one, kind, b"{}"))
            assert (decoded.events, decoded.refusals) == ([], [])


@every_venue
@settings(derandomize=True, max_examples=150, deadline=None)
@given(payload=st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_no_bytes_make_a_venue_raise_and_every_refusal_has_a_documented_reason(one, payload):
    session = one.session(streams_of(one))
    session.open(0)
    session.receive([payload], 1)
    for kind in (FrameKind.MESSAGE, FrameKind.REPLY):
        decoded = one.decode(a_frame(one, kind, payload))
        assert decoded.events or decoded.refusals
        for refusal in decoded.refusals:
            assert refusal.reason in REASONS
            assert len(refusal.value) <= 120


@every_venue
def test_a_message_beyond_the_decoding_limit_is_refused_unread(one):
    decoded = one.decode(a_frame(one, FrameKind.MESSAGE, b" " * (one.LIMITS.decode_bytes_max + 1)))
    assert [(refusal.index, refusal.reason) for refusal in decoded.refusals] == [(-1, "oversize")]


@every_venue
def test_decoding_twice_says_the_same(one):
    for payload in (b"", b"{}", b"[]", b"null", b'{"channel":"trades","data":[1,2]}'):
        assert one.decode(a_frame(one, FrameKind.MESSAGE, payload)) == one.decode(
            a_frame(one, FrameKind.MESSAGE, payload)
        )


@every_venue
def test_history_is_a_list_of_payable_requests_or_none(one):
    for stream in streams_of(one):
        requests = one.history(a_gap(stream))
        if requests is None:
            continue
        assert requests
        for request in requests:
            assert isinstance(request, Request)
            assert request.path.startswith("/")
            assert 0 < request.weight <= one.LIMITS.request_weight_per_minute // 2  # what a budget gives at once


@every_venue
def test_the_constants_name_their_sources(one):
    home = Path(one.__file__)
    texts = [path.read_text() for path in (home.parent.glob("*.py") if home.name == "__init__.py" else [home])]
    assert re.search(r"https?://", "".join(texts))
    assert re.search(r"\b20\d\d-\d\d", "".join(texts))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hyperliqid", "did you mean 'hyperliquid'"),
        ("Hyperliquid", "did you mean 'hyperliquid'"),
        ("nowhere", "known venues: "),
        ("", "known venues: "),
    ],
)
def test_an_unknown_venue_is_refused_with_the_nearest_name(name, words):
    with pytest.raises(Refused, match=words):
        venue(name)


def test_a_known_venue_is_found():
    assert venue("hyperliquid").NAME == "hyperliquid"
