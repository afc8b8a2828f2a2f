"""The command line: one file per command, loaded when it is typed.

`everytick --help` imports neither the parser nor any part of the program, so that it answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from everytick import __version__
from everytick.cli.registry import root_help


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own unless given) and return its exit code, see `cli.exits`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in ([], ["--help"], ["-h"], ["help"]):
        print(root_help())
        return 0
    if words == ["--version"]:
        print(__version__)
        return 0
    code: int = importlib.import_module("everytick.cli.root").run(words)
    return code
