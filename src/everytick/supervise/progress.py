"""What the running parts tell about themselves: plain numbers, written by their owners, read by anyone.

Every field has one writer; reading a field needs no lock. Ages are for the reader to compute.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ConnectionProgress:
    """One connection, kept by the recorder."""

    venue: str
    channel: str
    up: bool = False
    since_ns: int = 0  # wall time of the last change of `up`
    last_message_ns: int = 0  # wall time of the last message of any kind
    connects: int = 0
    failures: int = 0
    last_cause: str = ""
    unconfirmed: int = 0


@dataclass
class PollProgress:
    """One poll, kept by the poller."""

    venue: str
    name: str
    every_s: float
    tried_ns: int = 0  # wall time of the last request
    answered_ns: int = 0  # wall time of the last cycle of which every request was answered
    failures: int = 0  # failed requests since then
    last_cause: str = ""


@dataclass
class Progress:
    """One process. `*_ns` are wall times, 0 where it has not happened yet."""

    run: str = ""
    started_ns: int = 0
    loop_beats: int = 0  # bumped by the event loop twice a second, for those who watch it from outside
    connections: dict[str, ConnectionProgress] = field(default_factory=dict)
    polls: dict[str, PollProgress] = field(default_factory=dict)  # by venue/name
    offset_received: int = 0  # next offset to be given, told by the event loop with its beats; 0: not told
    # the tape, kept by the committing thread
    offset_appended: int = 0  # next offset to be given
    offset_durable: int = 0  # the watermark: every offset below it would survive a power cut
    last_commit_ns: int = 0  # last commit, or last look (once a second at least) that found nothing to commit
    commit_latency_ns: int = 0  # receipt of the oldest frame of the last group to its durability
    commit_tries: int = 0  # groups that the committer began to write, whatever came of it
    bytes_pending: int = 0
    tape_trouble: str = ""  # one sentence while the tape cannot take frames, else empty
    # the projector
    offset_applied: int = 0  # the checkpoint
    last_apply_ns: int = 0  # last apply, or last look (once a second at least) that found nothing to apply
    store_trouble: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    prices: dict[str, str] = field(default_factory=dict)  # instrument -> price of its newest trade, as written
    # streams, kept by the projector: key -> (event ns, receive ns) of the newest event
    newest: dict[str, tuple[int, int]] = field(default_factory=dict)
