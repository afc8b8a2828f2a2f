"""`everytick verify`, `replay` and `rebuild`: the tape checked, read out, and made into a store again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from everytick.cli.console import ConfigOption, JsonOption, say, say_json, terminal
from everytick.cli.exits import Exit
from everytick.cli.session import World, world
from everytick.config import is_server, store_address, store_path, tape_folder
from everytick.errors import Refused
from everytick.model.event import MidPrices, Notice, VaultState
from everytick.model.frame import Frame, FrameKind
from everytick.stores.compare import difference_at_one_moment
from everytick.stores.sqlite.lock import try_lock
from everytick.tape.verify import verify as verify_tape
from everytick.venues.registry import VENUES
from everytick.wiring.views import catch_up, frames, readable_end
from everytick.wiring.views import rebuild as rebuild_store

OUT_LINES = 1_000  # printed with one write


def verify(*, config_file: ConfigOption = None, json: JsonOption = False) -> int:
    """Check every byte of the tape: checksums, order of offsets, that every block unpacks.

    Exit code 1 if anything is not as it was written; the damage is named with its file, byte and offsets.

    Example: everytick verify --json
    """
    here = world(config_file, is_quiet=True)
    _require_tape(here)
    report = verify_tape(here.ports.disk(tape_folder(here.settings)))
    if json:
        say_json({"intact": report.is_intact, **msgspec.to_builtins(report)})
        return Exit.OK if report.is_intact else Exit.NO
    say(
        f"{report.segments} segments, {report.blocks} blocks, {report.frames} frames, {report.bytes} bytes; "
        f"offsets {report.first_offset} to {report.end_offset - 1}"
    )
    for low, high in report.holes:
        say(f"unused: offsets {low} to {high - 1} were skipped after a torn write; nothing durable was in them")
    for damage in report.damage:
        say(f"damage: {damage}", style="bold red")
    say("intact" if report.is_intact else f"NOT intact: {len(report.damage)} damaged places")
    return Exit.OK if report.is_intact else Exit.NO


def replay(
    *,
    from_offset: Annotated[int, Parameter(name="--from", help="First offset.")] = 0,
    until: Annotated[int | None, Parameter(help="Stop before this offset.")] = None,
    coin: Annotated[str, Parameter(help="Only events of this instrument.")] = "",
    raw: Annotated[bool, Parameter(help="Print frames as recorded instead of decoded events.")] = False,
    config_file: ConfigOption = None,
) -> int:
    """Read the tape and print its events, decoded afresh, one JSON object a line.

    Example: everytick replay --coin BTC --from 0
    """
    here = world(config_file, is_quiet=True)
    _require_tape(here)
    lines: list[bytes] = []
    written = 0
    for frame in frames(here.settings, here.ports, from_offset, until):
        lines += [_raw_line(frame)] if raw else _event_lines(frame, coin)
        if len(lines) >= OUT_LINES:
            written += _write(lines)
            lines = []
    written += _write(lines)
    if not written:
        print(
            f"no {'frame' if raw else f'event of {coin}' if coin else 'event'} between these offsets", file=sys.stderr
        )
    return Exit.OK


def rebuild(
    *,
    to: Annotated[
        Path | None, Parameter(help="The new store's file; else FILE.rebuilt beside the present one.")
    ] = None,
    swap: Annotated[
        bool, Parameter(help="Put the new store in the present one's place (kept as FILE.before).")
    ] = False,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> int:
    """Build the store again from the tape alone, and compare it with the present one.

    May run beside a recorder: the present store is compared as it stood at one moment. Only --swap is refused then.
    Exit code 0 if they are the same, row for row, or if there is no present one; 1 if they differ.

    Example: everytick rebuild --json
    """
    here = world(config_file, is_quiet=True)
    _require_tape(here)
    on_server = is_server(here.settings)
    if on_server and swap:
        raise Refused(
            "the store is on a server: a file cannot take its place",
            path="--swap",
            suggestion="empty its schema there, and the next `everytick run` or `everytick project` fills it again",
        )
    file = Path(here.settings.data.dir) / "store" if on_server else store_path(here.settings)
    target = to or file.with_name(file.name + ".rebuilt")
    if swap:
        _require_no_writer(file)
    with Progress(
        TextColumn("rebuilding"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} frames"),
        TimeRemainingColumn(),
        console=terminal(stderr=True),
        disable=json,
    ) as bar:
        task = bar.add_task("", total=readable_end(here.settings, here.ports))

        def on_step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        checkpoint = rebuild_store(here.settings, target, here.ports, here.telemetry, on_step)

        def to_offset(offset: int) -> None:
            nonlocal checkpoint
            checkpoint = catch_up(here.settings, target, here.ports, here.telemetry, offset, on_step)

        is_there = on_server or file.exists()
        difference = (
            difference_at_one_moment(str(target), store_address(here.settings), to_offset) if is_there else None
        )
    if swap:
        _swap(target, file)
    if json:
        say_json({"store": str(target), "frames": checkpoint, "same": difference is None, "difference": difference})
    else:
        say(f"rebuilt {target} from {checkpoint} frames")
        say("same as the present store, row for row" if difference is None else f"DIFFERS: {difference}")
    return Exit.OK if difference is None else Exit.NO


def _require_no_writer(file: Path) -> None:
    """Raises Refused while another process writes the store: it would go on writing to the file that was moved away."""
    if not file.exists():
        return
    held = try_lock(str(file))
    if held is None:
        raise Refused(
            "another process writes this store",
            path="--swap",
            value=str(file),
            suggestion="stop it first; without --swap the comparison needs no stop",
        )
    held.release()


def _swap(target: Path, present: Path) -> None:
    if present.exists():
        os.replace(present, present.with_name(present.name + ".before"))
    for suffix in ("-wal", "-shm"):
        present.with_name(present.name + suffix).unlink(missing_ok=True)
    os.replace(target, present)


def _require_tape(here: World) -> None:
    folder = tape_folder(here.settings)
    if not folder.is_dir():
        raise Refused(
            "there is no tape", path="data.dir", value=str(folder), suggestion="record one first: everytick run"
        )


def _raw_line(frame: Frame) -> bytes:
    head = {
        "offset": frame.offset,
        "kind": frame.kind.name.lower(),
        "venue": frame.source.venue,
        "channel": frame.source.channel,
        "epoch": frame.source.epoch,
        "ts_recv_ns": frame.ts_recv_ns,
        "payload": frame.payload.decode("utf-8", "backslashreplace"),
    }
    return msgspec.json.encode(head)


def _event_lines(frame: Frame, coin: str) -> list[bytes]:
    venue = VENUES.get(frame.source.venue)
    if venue is None or frame.kind not in (FrameKind.MESSAGE, FrameKind.REPLY):
        return []
    lines = []
    for event in venue.decode(frame).events:
        if isinstance(event, (Notice, MidPrices, VaultState)):
            if coin:
                continue
        elif coin and event.stream.instrument != coin:
            continue
        body = {"event": type(event).__name__, "offset": frame.offset, **msgspec.to_builtins(event)}
        lines.append(msgspec.json.encode(body))
    return lines


def _write(lines: list[bytes]) -> int:
    sys.stdout.write("".join(line.decode() + "\n" for line in lines))
    return len(lines)
