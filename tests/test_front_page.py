"""The README's first screen shows what the program really prints."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from everytick.cli import main
from tests.front_page import COMMAND, README, demo_block


def shape(text: str) -> list[str]:
    """The words of each line, without what changes from run to run."""
    words = ("".join(c for c in word if c.isalpha()) for line in text.splitlines() for word in line.split())
    return sorted({word for word in words if word})


def test_the_readme_shows_the_output_of_its_first_command() -> None:
    shown = demo_block(README.read_text())
    assert f"$ {COMMAND}" in shown
    assert "audit clean: every one of the" in shown
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["demo", "--for", "3s", "--seed", "2"]) == 0
    assert set(shape(out.getvalue())) - set(shape(shown)) == set()


def test_the_front_page_is_reached_within_one_screen() -> None:
    before = README.read_text().split("```console")[0]
    assert len(before.splitlines()) < 12
