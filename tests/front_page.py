"""The README's first screen: a command and its output, put there by running it (`make readme`)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- demo: made by `make readme` -->\n", "<!-- end demo -->"
COMMAND = "make demo ARGS='--for 20s'"


def demo_block(text: str) -> str:
    """What stands between the markers."""
    return text.split(BEGIN)[1].split(END)[0]


def main() -> None:
    """Run the demo and put what it prints into the README."""
    done = subprocess.run(
        [sys.executable, "-m", "everytick", "demo", "--for", "20s"], capture_output=True, text=True, check=True
    )
    output = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    text = README.read_text()
    block = f"```console\n$ {COMMAND}\n{output}\n```\n"
    README.write_text(re.sub(f"{re.escape(BEGIN)}.*?{END}", lambda _: BEGIN + block + END, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
