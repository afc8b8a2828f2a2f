"""What an exit code says, the same for every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The process's last word to whoever started it."""

    OK = 0  # done, and the answer is good
    NO = 1  # done, and the answer is bad: a check failed, an audit is not clean
    REFUSED = 2  # nothing was done: an argument, a setting or a file is wrong, and the message says which
    UNAVAILABLE = 3  # something outside did not answer; the same command may work later
    FATAL = 4  # going on could have lost or falsified data; a person must look
    INTERRUPTED = 130  # Ctrl-C, as a shell counts it
