"""The named ways in which the disk can refuse the tape. After each of them the frames are still pending."""

from __future__ import annotations

import errno

from everytick.errors import Retryable


class TapeTrouble(Retryable, OSError):
    """The disk refused a write. Nothing durable was lost and every pending frame is kept in memory.

    The next `commit` cuts what was half written and tries again. A person need do nothing unless it lasts;
    then the disk is what to look at. `errno` is the system's own number.
    """

    def __init__(self, number: int, sentence: str) -> None:
        OSError.__init__(self, number, sentence)
        self.retry_after_s = None
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class DiskFull(TapeTrouble):
    """No room for the next block (or a quota is used up). Recording resumes when there is room: make some."""


class SyncFailed(TapeTrouble):
    """The disk did not confirm a block, so the block counts as lost and goes to a new segment.

    The handle is never asked again: the system may have thrown the bytes away and call them clean. If this
    repeats, the disk is failing: move the tape.
    """


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def trouble_of(error: OSError, *, name: str, pending: int, is_sync: bool) -> TapeTrouble:
    """The named error for what the disk said while writing segment `name`, with `pending` frames waiting."""
    number = error.errno or errno.EIO
    what = error.strerror or str(error)
    waiting = f"{pending} frames wait in memory; the tape stays readable" if pending else "the tape stays readable"
    if number in _FULL:
        return DiskFull(number, f"the disk is full: no room for the tape at {name} ({what}); {waiting}; make room")
    if is_sync:
        return SyncFailed(number, f"the disk did not confirm {name} ({what}); {waiting}; going on in a new segment")
    return TapeTrouble(number, f"cannot write the tape at {name} ({what}); {waiting}; trying again")
