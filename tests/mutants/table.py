"""The mutants: what careless hands have done to recorders, one line each."""

from __future__ import annotations

from tests.mutants.patch import Mutant

_WRITER, _RECOVERY, _BLOCK = "everytick.tape.writer", "everytick.tape.recovery", "everytick.tape.block"
_PIPELINE, _SEQUENCE, _REPAIR = "everytick.recorder.pipeline", "everytick.core.sequence", "everytick.recorder.repair"
_PROJECTOR, _COMMITTER = "everytick.recorder.projector", "everytick.recorder.committer"
_LIFE, _CONNECTION = "everytick.recorder.life", "everytick.recorder.connection"
_HEALTH, _QUESTIONS = "everytick.supervise.health", "everytick.recorder.questions"

TAPE = [
    Mutant(
        "no_fsync",
        "frames are called durable that the disk has not confirmed",
        _WRITER,
        "            self._file.datasync()\n            if is_new:",
        "            if is_new:",
    ),
    Mutant(
        "no_folder_sync",
        "a new segment's name is not durable",
        _WRITER,
        "                self._disk.sync_folder()\n",
        "                pass\n",
    ),
    Mutant(
        "failed_sync_ignored",
        "a datasync that failed counts as done",
        _WRITER,
        "            self._file.datasync()\n            if is_new:",
        "            with contextlib.suppress(OSError):\n                self._file.datasync()\n            if is_new:",
    ),
    Mutant(
        "early_acknowledgement",
        "the watermark is where appending is",
        _WRITER,
        'Never goes back."""\n        return self._watermark',
        'Never goes back."""\n        return self._next',
    ),
    Mutant(
        "torn_end_left",
        "what a failed write has left is written on",
        _WRITER,
        "            if self._torn:\n                self._mend()\n",
        "",
    ),
    Mutant(
        "frames_dropped_when_full",
        "a group that the disk refuses is thrown away",
        _WRITER,
        "            self._abandon(is_sync=is_sync)\n",
        "            self._abandon(is_sync=is_sync)\n            self._group = None\n",
    ),
    Mutant(
        "rest_of_a_large_read_dropped",
        "of a read larger than a block only the first part is kept",
        _WRITER,
        "            self._queue[:1] = [first, rest]",
        "            self._queue[:1] = [first]",
    ),
    Mutant(
        "watermark_off_by_one",
        "the watermark stands one frame too low",
        _WRITER,
        "        self._watermark = group.first_offset + count\n",
        "        self._watermark = group.first_offset + max(count - 1, 1)\n",
    ),
    Mutant(
        "short_write_ignored",
        "what a write did not take is not written",
        "everytick.tape.segment",
        "        rest = rest[taken:]\n",
        "        return\n",
    ),
    Mutant(
        "torn_end_not_cut",
        "recovery leaves a torn block, and new blocks stand behind it",
        _RECOVERY,
        "        if tail:\n            cuts.append(_cut(disk, segment, last.position",
        "        if not last:\n            cuts.append(_cut(disk, segment, last.position",
    ),
    Mutant(
        "last_block_not_confirmed",
        "recovery shows a block that a power cut may still take",
        _RECOVERY,
        "        _repeat(disk, segment, last)\n",
        "",
    ),
    Mutant(
        "offsets_given_twice",
        "recovery gives the offsets of a spoiled block to other frames",
        _RECOVERY,
        "        next_offset = max(next_offset, end, _claimed_end(disk, segment, account.expected, tail))",
        "        next_offset = max(next_offset, end)",
    ),
    Mutant(
        "crc_skipped",
        "a block's body is taken as it is",
        _BLOCK,
        "    return len(stored) == header.stored_bytes and crc32(stored) == header.body_crc",
        "    return len(stored) == header.stored_bytes",
    ),
    Mutant(
        "header_crc_skipped",
        "a block's header is taken as it is",
        _BLOCK,
        "    if crc32(data[_CRC_END:BLOCK_HEADER_BYTES]) != int",
        "    if data[:1] != BLOCK_MAGIC[:1] and crc32(data[_CRC_END:BLOCK_HEADER_BYTES]) != int",
    ),
]

STORE = [
    Mutant(
        "projector_runs_ahead",
        "frames are applied before the disk has confirmed them",
        _COMMITTER,
        "        progress.offset_durable = self._writer.watermark\n",
        "        progress.offset_durable = self._writer.next_offset\n",
    ),
    Mutant(
        "no_drain_at_stop",
        "a graceful stop leaves behind what is pending",
        _COMMITTER,
        "        while not self._is_idle() and self._commit():\n            yield 0.0\n",
        "",
    ),
    Mutant(
        "trouble_never_over",
        "a disk that is well again is called full for ever",
        _COMMITTER,
        '            self._progress.tape_trouble = ""\n',
        "            pass\n",
    ),
    Mutant(
        "failed_apply_counts_as_done",
        "a batch that the store did not take is taken for applied",
        _PROJECTOR,
        "                yield wait_s\n",
        "                self.checkpoint, self._batch = offset_to, None\n                return\n",
    ),
    Mutant(
        "half_made_batch_kept",
        "after a store that failed in the middle the pipeline goes on as if it had not",
        _PROJECTOR,
        "            self._pipeline.begin_again(self._unstorable)\n",
        "            pass\n",
    ),
    Mutant(
        "batch_made_twice",
        "a batch that waits for the store is made again, and takes its own trades for repeats",
        _PROJECTOR,
        "            batch = self._batch or self._make(frames, offset_to)\n",
        "            self._is_torn = False\n            batch = self._make(frames, offset_to)\n",
    ),
    Mutant(
        "checkpoint_not_followed",
        "what is told as applied is not what was",
        _PROJECTOR,
        "        progress.offset_applied = batch.offset_to\n",
        "        progress.offset_applied = progress.offset_durable + 1\n",
    ),
]

LEDGER = [
    Mutant(
        "gap_begins_too_late",
        "the first missing id is not named",
        _SEQUENCE,
        "        first_id=state.newest_id + 1,\n",
        "        first_id=min(state.newest_id + 2, trade_id - 1),\n",
    ),
    Mutant(
        "gap_ends_too_late",
        "an id that we hold is named as missing",
        _SEQUENCE,
        "        last_id=trade_id - 1,\n",
        "        last_id=trade_id,\n",
    ),
    Mutant(
        "single_losses_overlooked",
        "one missing id is no gap",
        _SEQUENCE,
        "        if trade_id > state.newest_id + 1:\n",
        "        if trade_id > state.newest_id + 2:\n",
    ),
    Mutant(
        "lossless_without_proof",
        "a replay that shares nothing with what we hold joins all the same",
        _SEQUENCE,
        "    if shared > 0 or is_overlap:\n",
        "    if shared >= 0 or is_overlap:\n",
    ),
    Mutant(
        "every_reconnect_a_gap",
        "an overlap is no proof",
        _SEQUENCE,
        "    if shared > 0 or is_overlap:\n",
        "    if is_overlap:\n",
    ),
    Mutant(
        "gap_called_complete",
        "time in a gap is called observed",
        _SEQUENCE,
        "    state.cover_from_ns = first_ns + NS_PER_MS\n    state.cover_offset = place.offset\n    advance(",
        "    advance(",
    ),
    Mutant(
        "restart_not_noticed",
        "a start ends no connection",
        _PIPELINE,
        "            self._end(CAUSE_RESTART)\n",
        "            pass\n",
    ),
    Mutant(
        "damage_not_noticed",
        "frames that cannot be read prove themselves",
        _PIPELINE,
        "            sequence.ended(state, CAUSE_DAMAGE)\n            sequence.asked(state, state.epoch)\n",
        "",
    ),
    Mutant(
        "batch_wide_duplicate_skip",
        "one trade that is held makes its whole message a repeat",
        _PIPELINE,
        "        repeated = 0\n        fresh: list[Trade] = []\n",
        "        repeated = 0\n        fresh: list[Trade] = []\n"
        "        if any((one.ts_event_ns, one.trade_id) in held for one in trades):\n            trades = trades[:1]\n",
    ),
    Mutant(
        "duplicates_stored",
        "what is held is stored again",
        _PIPELINE,
        "            if before is None:\n                held[key] = values\n",
        "            if True:\n                held[key] = values\n",
    ),
    Mutant(
        "first_message_not_judged",
        "the first message of a connection takes the fast road",
        _PIPELINE,
        "        is_plain = state is not None and not state.awaits_first and state.epoch == epoch\n",
        "        is_plain = state is not None\n",
    ),
    Mutant(
        "known_trades_forgotten",
        "runs of trades are new without looking",
        "everytick.recorder.known",
        "        if min([ts_ns for ts_ns, _ in keys]) <= self.floor_ns or not held.keys().isdisjoint(keys):\n",
        "        if not keys:\n",
    ),
    Mutant(
        "gap_closed_without_proof",
        "the first late trade closes a whole gap",
        _REPAIR,
        "            state = GapState.OPEN if left else GapState.CLOSED\n",
        "            state = GapState.CLOSED\n",
    ),
    Mutant(
        "answer_reaches_too_far",
        "what lies beyond an answer is called a hole",
        _REPAIR,
        "one.missing.take(answer.first_id, answer.last_id)",
        "one.missing.take(0, 2**62)",
    ),
    Mutant(
        "gaps_forgotten_at_a_start",
        "open gaps of an earlier life are not loaded",
        _REPAIR,
        "            known = self._open[stream] = self._load(stream)\n",
        "            known = self._open[stream] = []\n",
    ),
]

VALUES = [
    Mutant(
        "prices_through_floats",
        "a price goes through a float",
        "everytick.stores.protocol",
        "    price, size = decimal_text(trade.price), decimal_text(trade.size)\n",
        "    price, size = str(float(trade.price)), decimal_text(trade.size)\n",
    ),
    Mutant(
        "maker_taken_for_aggressor",
        "the side is the maker's",
        "everytick.venues.hyperliquid.names",
        'SIDES: Final = {"B": Side.BUY, "A": Side.SELL}',
        'SIDES: Final = {"A": Side.BUY, "B": Side.SELL}',
    ),
    Mutant(
        "local_time_as_utc",
        "a venue's time is shifted by eight hours",
        "everytick.core.validate",
        "        return value * NS_PER_MS\n    raise Invalid(_why_not_ms",
        "        return value * NS_PER_MS - 8 * 3_600 * 1_000_000_000\n    raise Invalid(_why_not_ms",
    ),
    Mutant(
        "any_price_accepted",
        "zero and below are prices",
        "everytick.core.validate",
        "    if number > 0:\n        return number\n",
        "    return number\n",
    ),
    Mutant(
        "poison_takes_its_neighbours",
        "one bad item refuses its whole message",
        "everytick.core.refusals",
        "    return Decoded(events, findings.refusals())",
        "    return Decoded([] if findings.refusals() else events, findings.refusals())",
    ),
]

LINES = [
    Mutant(
        "first_of_a_read_dropped",
        "of several messages in one read the first is lost",
        _LIFE,
        "        self._tape.append_many(source, FrameKind.MESSAGE, payloads)\n",
        "        payloads = payloads[1:] or payloads\n"
        "        self._tape.append_many(source, FrameKind.MESSAGE, payloads)\n",
    ),
    Mutant(
        "end_not_told",
        "a connection's end is not put on the tape",
        _LIFE,
        "        self._tape.append(self._source, FrameKind.DISCONNECT, fact)\n",
        "",
    ),
    Mutant(
        "reads_without_bound",
        "a full disk does not stop the reading",
        _LIFE,
        "self._tape.pending_bytes > self._line.backlog_bytes_max:\n            self._press_back()",
        "False:\n            self._press_back()",
    ),
    Mutant(
        "mute_line_kept",
        "a line that says nothing is waited for for ever",
        _CONNECTION,
        "if tick.close and not life.is_paused else None",
        "if not tick else None",
    ),
    Mutant(
        "gives_up_after_five",
        "after five refusals nobody knocks any more",
        _CONNECTION,
        "                self._refused(refusal)\n            else:\n",
        "                self._refused(refusal)\n                if backoff.failures > 5:\n                    return\n"
        "            else:\n",
    ),
    Mutant(
        "wish_to_be_left_alone_ignored",
        "Retry-After of a refused connect is not heeded",
        _CONNECTION,
        "        if refusal.retry_after_s:\n",
        "        if not refusal:\n",
    ),
    Mutant(
        "too_many_requests_ignored",
        "429 is a failure like any other",
        _QUESTIONS,
        "            self._governor.told_to_wait(header, BUSY_WAIT_NS)\n",
        "",
    ),
    Mutant(
        "empty_list_for_an_error",
        "an answer that failed is an empty one",
        _QUESTIONS,
        '            return Failure("venue_failed", answer.status)\n',
        '            return HttpAnswer(200, {}, b"[]")\n',
    ),
    Mutant(
        "page_taken_for_an_answer",
        "a page for people is put on the tape as an answer",
        _QUESTIONS,
        '            return Failure("no_json", answer.status)',
        "            pass",
    ),
    Mutant(
        "wall_clock_for_waits",
        "a wish to wait is counted on the wall clock",
        "everytick.recorder.governor",
        "        self.pace.hold(self._clock.mono_ns(), wait_ns)\n",
        "        self.pace.hold(self._clock.wall_ns(), wait_ns)\n",
    ),
    Mutant(
        "first_missing_id_not_asked",
        "backfill asks from the second missing id on",
        "everytick.venues.binance.requests",
        "    starts = range(gap.first_id, gap.last_id + 1, ITEMS_MAX)[:PAGES_MAX]\n",
        "    starts = range(min(gap.first_id + 1, gap.last_id), gap.last_id + 1, ITEMS_MAX)[:PAGES_MAX]\n",
    ),
]

SUPERVISION = [
    Mutant(
        "swallowed_task_error",
        "a task that died is not started again",
        "everytick.supervise.tree",
        "            now_ns = self._clock.mono_ns()\n            deaths.append(now_ns)\n",
        "            if isinstance(error, Exception):\n                return\n"
        "            now_ns = self._clock.mono_ns()\n            deaths.append(now_ns)\n",
    ),
    Mutant(
        "health_from_the_heartbeat",
        "all is well as long as the loop beats",
        _HEALTH,
        "    reasons = [\n        *_process(progress, seen, mono_ns, limits),\n",
        "    if is_loop_alive(seen, mono_ns, limits):\n        return Health(Status.OK)\n"
        "    reasons = [\n        *_process(progress, seen, mono_ns, limits),\n",
    ),
    Mutant(
        "mute_streams_overlooked",
        "a stream may be silent for ever",
        _HEALTH,
        "        *_streams(progress, seen, facts, mono_ns, is_late=bool(tape or store)),\n",
        "",
    ),
    Mutant(
        "lines_down_overlooked",
        "a connection that is down is no reason",
        _HEALTH,
        "        *(r for name, c in sorted(progress.connections.items()) for r in",
        "        *(r for name, c in sorted(progress.connections.items()) if not name for r in",
    ),
    Mutant(
        "late_store_overlooked",
        "a store that is behind is no reason",
        _HEALTH,
        "    store = [*_store(progress, seen, mono_ns, limits)] if facts.projects else []\n",
        "    store: list[Reason] = []\n",
    ),
]

MUTANTS = [*TAPE, *STORE, *LEDGER, *VALUES, *LINES, *SUPERVISION]
