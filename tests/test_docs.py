"""The documentation says what the code says: a command, setting, fact or reason without its line fails here."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from everytick.config.fields import walk
from tests import generated

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(generated.GENERATED))
def test_a_generated_page_is_what_the_code_says_today(name: str) -> None:
    page = (DOCS / name).read_text()
    assert generated.between_markers(page) == generated.GENERATED[name]().strip(), f"docs/{name} is old: make docs"


def test_every_command_has_its_help_in_the_docs() -> None:
    page = (DOCS / "CLI.md").read_text()
    for words in generated.command_lines():
        assert f"## everytick {' '.join(words)}\n" in page, f"docs/CLI.md lacks {words}: make docs"


def test_every_setting_has_a_meaning_and_a_row() -> None:
    page = (DOCS / "CONFIG.md").read_text()
    for setting in walk():
        assert setting.meaning, f"{setting.path} has no description: give its Meta one"
        assert f"`{setting.env}`" in page, f"docs/CONFIG.md lacks {setting.path}: make docs"


def test_glossary_words_are_sorted_and_in_lower_case() -> None:
    words = [
        line.split("|")[1].strip()
        for line in (DOCS / "GLOSSARY.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| word ")
    ]
    assert len(words) > 10
    assert words == sorted(words), f"docs/GLOSSARY.md: put {_misplaced(words)} in its place"
    assert all(word == word.lower() for word in words), "docs/GLOSSARY.md: words are lower-case"
    assert len(set(words)) == len(words), "docs/GLOSSARY.md: one word, one meaning"


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target} is not there"


def test_every_command_that_a_page_shows_exists() -> None:
    known = {words[0] for words in generated.command_lines()}
    shown = re.compile(r"^\s*\$? ?(?:\.venv/bin/)?everytick ([a-z]+)", re.MULTILINE)
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        for block in re.findall(r"```(?:sh|console|bash)\n(.*?)```", page.read_text(), re.DOTALL):
            for command in shown.findall(block):
                assert command in known, f"{page.relative_to(ROOT)} shows `everytick {command}`, which does not exist"


def _misplaced(words: list[str]) -> str:
    return next(b for a, b in itertools.pairwise(words) if b < a)


def test_every_guarantee_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (ROOT / "docs" / "GUARANTEES.md").read_text()))
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in written} == set()
