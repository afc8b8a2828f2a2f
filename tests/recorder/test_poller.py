"""Polls keep their beat, tell every failure from an empty answer, and ask again by what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from everytick.core.pacing import Priority
from everytick.host.disk import FolderDisk
from everytick.model.control import Asked, RequestFailed, parse_reply
from everytick.model.frame import Frame, FrameKind
from everytick.model.stream import Kind, Stream
from everytick.model.units import NS_PER_S
from everytick.ports import HttpAnswer
from everytick.recorder.governor import Governor
from everytick.recorder.poller import Poller
from everytick.recorder.questions import Questions
from everytick.supervise.progress import PollProgress
from everytick.tape.reader import TapeReader
from everytick.tape.settings import TapeSettings
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues import hyperliquid
from everytick.venues.protocol import Poll, Request
from tests.recorder.virtual import Dice, ScriptedHttp, VirtualClock, run

VAULTS = Stream("hyperliquid", Kind.VAULTS, "BTC")
EVERY_S = 60.0
GOOD = HttpAnswer(200, {}, b"[]")


def poll(*names: str, feeds: tuple[Stream, ...] = ()) -> Poll:
    requests = [Request(name, "POST", "/info", msgspec.json.encode({"type": name}), 2) for name in names]
    return Poll("+".join(names), EVERY_S, lambda _: requests, Priority.LIVE, feeds)


def record(
    folder: Path, script: Callable[[bytes], HttpAnswer | None], *polls: Poll, for_s: float, takes_s: float = 0.0
) -> tuple[list[Frame], ScriptedHttp, dict[str, PollProgress], Telemetry]:
    """The frames that polling for that long puts on a tape."""
    clock = VirtualClock()
    telemetry = Telemetry(clock)
    http = ScriptedHttp(clock, script, takes_s=takes_s)
    writer = TapeWriter(FolderDisk(folder), clock, Dice(), TapeSettings(), "test")
    writer.open()
    progress = {one.name: PollProgress("hyperliquid", one.name, one.every_s) for one in polls}
    governor = Governor("hyperliquid", hyperliquid.LIMITS, clock, telemetry)
    poller = Poller(
        Questions(hyperliquid, "http://here", http, governor),
        "info",
        polls,
        tape=writer,
        wake_committer=lambda: None,
        clock=clock,
        ids=Dice(),
        telemetry=telemetry,
        progress=progress,
    )

    async def work() -> None:
        task = asyncio.ensure_future(poller.run())
        await clock.pass_time(for_s)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(work())
    writer.close()
    frames = TapeReader(FolderDisk(folder)).read(0, 100_000, writer.watermark)
    return frames, http, progress, telemetry


def of_kind(frames: list[Frame], kind: FrameKind) -> list[Frame]:
    return [frame for frame in frames if frame.kind is kind]


def failures(frames: list[Frame]) -> list[RequestFailed]:
    return [msgspec.json.decode(frame.payload, type=RequestFailed) for frame in of_kind(frames, FrameKind.FAILED)]


def times(http: ScriptedHttp) -> list[float]:
    return [at for at, _ in http.asked]


def test_every_answer_is_a_frame_with_its_question_and_its_bytes_untouched(tmp_path: Path) -> None:
    body = b' [ {"odd" : 1e1} ]\n'
    frames, *_ = record(tmp_path, lambda _: HttpAnswer(200, {}, body), poll("meta"), for_s=61)
    kinds = [frame.kind for frame in frames]
    assert kinds == [
        FrameKind.CONNECT, FrameKind.SUBSCRIBE, FrameKind.REPLY, FrameKind.REPLY, FrameKind.DISCONNECT,
    ]  # fmt: skip
    assert parse_reply(frames[2].payload) == (Asked("meta", '{"type":"meta"}', 200), body)
    assert {frame.source.epoch for frame in frames} == {0}


def test_a_failure_is_a_failure_and_never_an_empty_answer(tmp_path: Path) -> None:
    frames, _, progress, telemetry = record(tmp_path, lambda _: None, poll("meta"), for_s=50)
    assert of_kind(frames, FrameKind.REPLY) == []
    assert {failure.cause for failure in failures(frames)} == {"no_answer"}
    assert progress["meta"].answered_ns == 0  # the age of the last success does not advance
    assert b'requests_failed_total{cause="no_answer",name="meta",venue="hyperliquid"}' in telemetry.exposition()


def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    frames, _, progress, _ = record(tmp_path, lambda _: GOOD, poll("meta"), for_s=1)
    assert parse_reply(of_kind(frames, FrameKind.REPLY)[0].payload)[1] == b"[]"
    assert failures(frames) == []
    assert progress["meta"].answered_ns > 0


def test_a_page_for_people_with_status_200_is_a_failure(tmp_path: Path) -> None:
    frames, *_ = record(tmp_path, lambda _: HttpAnswer(200, {}, b"<html>wait</html>"), poll("meta"), for_s=1)
    assert of_kind(frames, FrameKind.REPLY) == []
    assert failures(frames)[0].cause == "no_json"


def test_the_beat_does_not_drift_by_the_work_in_between(tmp_path: Path) -> None:
    """A10 item 8: the interval was work plus sleep."""
    _, http, *_ = record(tmp_path, lambda _: GOOD, poll("meta"), for_s=3_600, takes_s=7.3)
    assert times(http) == [n * EVERY_S for n in range(61)]


def test_turns_that_were_missed_are_left_out_and_the_beat_kept(tmp_path: Path) -> None:
    _, http, _, telemetry = record(tmp_path, lambda _: GOOD, poll("meta"), for_s=600, takes_s=130)
    assert times(http) == [0.0, 180.0, 360.0, 540.0]
    assert b'polls_skipped_total{venue="hyperliquid"} 6.0' in telemetry.exposition()


def test_a_refused_question_is_not_repeated_and_is_asked_ever_more_rarely(tmp_path: Path) -> None:
    """A10 item 20: every class of failure was retried alike."""
    refused = HttpAnswer(422, {}, b"Failed to deserialize")
    frames, http, *_ = record(tmp_path, lambda _: refused, poll("meta"), for_s=3_600)
    gaps = [b - a for a, b in zip(times(http), times(http)[1:], strict=False)]
    assert gaps[0] >= EVERY_S
    assert gaps == sorted(gaps)
    assert len(gaps) < 8
    assert {(failure.cause, failure.status) for failure in failures(frames)} == {("refused", 422)}


def test_a_broken_line_is_asked_again_later_and_later_until_the_next_turn(tmp_path: Path) -> None:
    _, http, *_ = record(tmp_path, lambda _: None, poll("meta"), for_s=59)
    gaps = [b - a for a, b in zip(times(http), times(http)[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert 4 <= len(gaps) <= 8


def test_a_busy_venue_is_left_alone_as_long_as_it_says_by_every_poll(tmp_path: Path) -> None:
    """A10 item 20: a 429 was hammered."""
    answers = iter([HttpAnswer(429, {"retry-after": "25"}, b"rate limited")])
    frames, http, *_ = record(tmp_path, lambda _: next(answers, GOOD), poll("meta"), poll("allMids"), for_s=59)
    assert times(http)[0] == 0.0
    assert [at for at in times(http) if 0 < at < 25] == []
    assert [failure.cause for failure in failures(frames)] == ["busy"]
    assert len(of_kind(frames, FrameKind.REPLY)) == 2


def test_a_cycle_of_several_questions_numbers_its_parts_and_stops_at_the_first_that_fails(tmp_path: Path) -> None:
    """A10 item 8: partial success still reported OK."""

    def script(body: bytes) -> HttpAnswer | None:
        return HttpAnswer(404, {}, b"") if b"second" in body else GOOD

    cycle = poll("first", "second", "third", feeds=(VAULTS,))
    frames, http, progress, _ = record(tmp_path, script, cycle, for_s=59)
    asked = [parse_reply(frame.payload)[0] for frame in of_kind(frames, FrameKind.REPLY)]
    assert [(one.name, one.part, one.parts) for one in asked] == [("first", 1, 3)]
    assert [body for _, body in http.asked if b"third" in body] == []
    assert [failure.lost for failure in failures(frames)] == [(VAULTS.key,)]
    assert progress["first+second+third"].answered_ns == 0


def test_streams_that_only_a_poll_brings_are_asked_for_on_its_connection(tmp_path: Path) -> None:
    frames, *_ = record(tmp_path, lambda _: GOOD, poll("a", feeds=(VAULTS,)), poll("b"), for_s=1)
    assert msgspec.json.decode(frames[1].payload) == {"streams": [VAULTS.key]}


def test_an_answer_within_the_turn_loses_nothing_though_a_try_failed(tmp_path: Path) -> None:
    answers = iter([None, HttpAnswer(503, {}, b"")])
    frames, *_ = record(tmp_path, lambda _: next(answers, GOOD), poll("a", feeds=(VAULTS,)), for_s=59)
    assert [failure.lost for failure in failures(frames)] == [(), ()]
    assert len(of_kind(frames, FrameKind.REPLY)) == 1


def test_the_start_is_spread_and_no_two_polls_share_a_first_beat(tmp_path: Path) -> None:
    class Spreading(Dice):
        def __init__(self) -> None:
            self.next = 0.0

        def jitter(self) -> float:
            self.next = (self.next + 0.3) % 1
            return self.next

    clock = VirtualClock()
    telemetry = Telemetry(clock)
    http = ScriptedHttp(clock, lambda _: GOOD)
    writer = TapeWriter(FolderDisk(tmp_path), clock, Dice(), TapeSettings(), "test")
    writer.open()
    polls = [poll("a"), poll("b"), poll("c")]
    questions = Questions(
        hyperliquid, "http://here", http, Governor("hyperliquid", hyperliquid.LIMITS, clock, telemetry)
    )
    poller = Poller(
        questions, "info", polls, tape=writer, wake_committer=lambda: None, clock=clock, ids=Spreading(),
        telemetry=telemetry, progress={one.name: PollProgress("hyperliquid", one.name, 60) for one in polls},
    )  # fmt: skip

    async def work() -> None:
        task = asyncio.ensure_future(poller.run())
        await clock.pass_time(10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(work())
    writer.close()
    assert len(set(times(http))) == 3
    assert all(0 <= at * NS_PER_S <= 5 * NS_PER_S for at in times(http))
