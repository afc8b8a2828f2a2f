"""`everytick gaps` and `everytick coverage`: what is missing, and whether a range is complete."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from everytick.cli import times
from everytick.cli.console import ConfigOption, JsonOption, say, say_json, say_table
from everytick.cli.exits import Exit
from everytick.cli.session import world
from everytick.config import Settings, store_address
from everytick.core.coverage import Hole, clip, holes
from everytick.errors import Refused
from everytick.model.ledger import Gap, Interval, Seam
from everytick.model.stream import Kind, Stream
from everytick.model.units import ms_from_ns
from everytick.stores.open import open_reader
from everytick.stores.protocol import Reader

CoinOption = Annotated[str, Parameter(help="Only this instrument, for example BTC.")]


def gaps(
    *,
    coin: CoinOption = "",
    open_only: Annotated[bool, Parameter(name="--open", help="Only gaps that nothing has closed.")] = False,
    seams: Annotated[bool, Parameter(help="Also the joins that were proved lossless, with their proof.")] = False,
    limit: Annotated[int, Parameter(help="At most this many.")] = 100,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """List what is known to be missing, newest first. Exit code 1 if a gap is open.

    Example: everytick gaps --coin BTC --seams
    """
    reader = _reader(world(config_file, is_quiet=True).settings)
    streams = _streams(reader, coin)
    found = reader.gaps(streams, open_only=open_only, limit=limit)
    joined = reader.seams(streams, limit=limit) if seams else []
    open_count = sum(gap.state.value == "open" for gap in found)
    if json:
        say_json({"gaps": [_gap_row(gap) for gap in found], "seams": [_seam_row(seam) for seam in joined]})
        return Exit.NO if open_count else Exit.OK
    say_table(
        ["stream", "from (UTC)", "to (UTC)", "kind", "cause", "state", "missing"],
        [
            (
                gap.stream.key,
                times.utc(gap.from_ns),
                times.utc(gap.to_ns),
                gap.kind.value,
                gap.cause,
                gap.state.value,
                "unknown" if gap.estimated_missing < 0 else gap.estimated_missing,
            )
            for gap in found
        ],
    )
    if seams:
        say()
        say_table(
            ["stream", "joined at (UTC)", "verdict", "after", "proof"],
            [
                (s.stream.key, times.utc(s.ts_recv_ns), s.verdict.value, s.cause or "start", f"{s.shared} shared")
                for s in joined
            ],
        )
    say(f"{len(found)} gaps, {open_count} open")
    return Exit.NO if open_count else Exit.OK


def coverage(
    *,
    coin: CoinOption = "",
    kind: Annotated[Kind, Parameter(help="What kind of stream.")] = Kind.TRADES,
    from_: Annotated[str, Parameter(name="--from", help="Milliseconds or ISO time (UTC).")] = "",
    to: Annotated[str, Parameter(help="Milliseconds or ISO time (UTC), exclusive.")] = "",
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Say which intervals are complete. With --from and --to the answer is yes (0) or no (1).

    Example: everytick coverage --coin BTC --from 2025-09-04T19:50:00Z --to 2025-09-04T19:55:00Z
    """
    reader = _reader(world(config_file, is_quiet=True).settings)
    from_ns = times.moment_ns(from_, option="--from") if from_ else 0
    to_ns = times.moment_ns(to, option="--to") if to else 2**63 - 1
    if from_ns >= to_ns:
        raise Refused("the range is empty", path="--to", value=to, suggestion="--to must lie after --from")
    is_asked = bool(from_ and to)
    answers = []
    for stream in _streams(reader, coin):
        if stream.kind is kind:
            held = clip(reader.coverage(stream, from_ns, to_ns), from_ns, to_ns)
            answers.append((stream, held, holes(held, from_ns, to_ns) if is_asked else []))
    is_complete = bool(answers) and not any(missing for _, _, missing in answers)
    if json:
        say_json({"complete": is_complete if is_asked else None, "streams": [_answer_row(*a) for a in answers]})
    else:
        rows = [
            (stream.key, times.utc(i.from_ns), times.utc(i.to_ns), i.cover.value, f"offset {i.offset}")
            for stream, held, _ in answers
            for i in held
        ]
        say_table(["stream", "from (UTC)", "to (UTC)", "cover", "evidence"], rows)
        for stream, _, missing in answers if is_asked else []:
            say(f"{stream.key}: {'complete' if not missing else _not_complete(missing)}")
    return Exit.OK if is_complete or not is_asked else Exit.NO


def _not_complete(missing: list[Hole]) -> str:
    parts = [
        f"{times.utc(hole.from_ns)} to {times.utc(hole.to_ns)} {hole.cover.value if hole.cover else 'never observed'}"
        for hole in missing
    ]
    return f"NOT complete: {'; '.join(parts)}"


def _reader(settings: Settings) -> Reader:
    return open_reader(store_address(settings))


def _streams(reader: Reader, coin: str) -> list[Stream]:
    streams = list(reader.streams())
    if not coin:
        return streams
    found = [stream for stream in streams if stream.instrument == coin]
    if not found:
        known = sorted({stream.instrument for stream in streams})
        raise Refused("nothing of this instrument is held", path="--coin", value=coin, suggestion=", ".join(known))
    return found


def _gap_row(gap: Gap) -> dict[str, object]:
    row = {**msgspec.to_builtins(gap), "stream": gap.stream.key}
    return {**row, "from_ms": ms_from_ns(gap.from_ns), "to_ms": ms_from_ns(gap.to_ns)}


def _seam_row(seam: Seam) -> dict[str, object]:
    return {**msgspec.to_builtins(seam), "stream": seam.stream.key}


def _answer_row(stream: Stream, held: list[Interval], missing: list[Hole]) -> dict[str, object]:
    return {
        "stream": stream.key,
        "intervals": [
            {"from_ms": ms_from_ns(i.from_ns), "to_ms": ms_from_ns(i.to_ns), "cover": i.cover.value} for i in held
        ],
        "holes": [
            {
                "from_ms": ms_from_ns(hole.from_ns),
                "to_ms": ms_from_ns(hole.to_ns),
                "cover": hole.cover.value if hole.cover else None,
            }
            for hole in missing
        ],
    }
