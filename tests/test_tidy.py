"""The style of the house, checked. Every failure names the place and the way to mend it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "everytick"

MODULE_LINES = 500
FUNCTION_LINES = 70
TEST_WORDS_MIN = 3

# Written so that this file does not hold what it looks for.
LEAKS = {
    "an index host": re.compile(r"\b(?:pypi[.]org|python" + r"hosted[.]org)\b"),
    "a path of one machine": re.compile(r"(?<![\w.-])/(?:work|farm|home/\w+|Users/\w+|root)/\w"),
}
OPEN_ENDS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
# A waiver must say which rule and, after it, why.
WAIVERS = re.compile(
    r"#\s*(?:type:\s*ign" + r"ore|no" + r"qa)(?P<rule>\[[\w-]+(?:,\s*[\w-]+)*\]|:\s*[A-Z]+\d+)?(?P<why>.*)$"
)
EXACT_FLOORS = ("model", "core", "venues")


def tracked() -> list[Path]:
    """Every file under version control that is there and is text."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        files = [ROOT / name for name in listing.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        # A copy without its history: everything but what tools leave behind.
        files = [p for p in ROOT.rglob("*") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]
    return [path for path in files if path.is_file() and b"\0" not in path.read_bytes()[:4_096]]


def modules() -> list[Path]:
    """Every module of the program."""
    return sorted(SOURCE.rglob("*.py"))


def place(path: Path, line: int = 0) -> str:
    """A file, and a line of it, as an editor opens it."""
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    """The module's syntax."""
    return ast.parse(path.read_text(), filename=str(path))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, at any depth."""
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def report(found: list[str]) -> None:
    """Fail with every place at once."""
    assert not found, "\n".join(["", *found])


def test_a_long_module_says_why_it_is_long() -> None:
    report(
        [
            f"{place(path)}: {lines} lines; split it, or write `Long because ...` in its docstring"
            for path in modules()
            if (lines := len(path.read_text().splitlines())) > MODULE_LINES
            and "long because" not in (ast.get_docstring(parsed(path)) or "").lower()
        ]
    )


def test_a_function_fits_on_one_screen() -> None:
    report(
        [
            f"{place(path, node.lineno)}: {node.name} has {length} lines of {FUNCTION_LINES}; give a part of it a name"
            for path in modules()
            for node in functions(parsed(path))
            if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
        ]
    )


def test_every_module_says_what_it_is_for() -> None:
    report(
        [
            f"{place(path)}: begin with a docstring of one line"
            for path in modules()
            if not ast.get_docstring(parsed(path))
        ]
    )


def test_everything_public_has_a_docstring() -> None:
    found = []
    for path in modules():
        for node in parsed(path).body:
            is_named = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            if is_named and not node.name.startswith("_") and not ast.get_docstring(node):
                found.append(f"{place(path, node.lineno)}: {node.name}: one line on what it is, units, errors")
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not _is_protocol(node):
                found += [
                    f"{place(path, member.lineno)}: {node.name}.{member.name}: one line on what it does, units, errors"
                    for member in node.body
                    if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef))
                    and not member.name.startswith("_")
                    and not ast.get_docstring(member)
                    and len(member.body) > 1  # of a method of one statement the name says enough
                ]
    report(found)


def test_no_import_hides_inside_a_function() -> None:
    report(
        [
            f"{place(path, inner.lineno)}: move the import to the top; a circle means that a floor is wrong"
            for path in modules()
            for node in functions(parsed(path))
            for inner in ast.walk(node)
            if isinstance(inner, (ast.Import, ast.ImportFrom))
        ]
    )


def test_exact_floors_never_make_a_float() -> None:
    report(
        [
            f"{place(path, node.lineno)}: no float() here: Decimal for money, integers for time and ids"
            for floor in EXACT_FLOORS
            for path in sorted((SOURCE / floor).rglob("*.py"))
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
        ]
    )


def test_no_file_names_one_machine_or_an_index() -> None:
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            found += [
                f"{place(path, number)}: {what}: take it out" for what, leak in LEAKS.items() if leak.search(line)
            ]
    report(found)


def test_nothing_is_left_for_later_in_the_code() -> None:
    report(
        [
            f"{place(path, number)}: finish it, or open an issue and say nothing here"
            for path in tracked()
            if path.suffix in {".py", ".toml", ".sql", ".sh", ".md"}
            for number, line in enumerate(path.read_text().splitlines(), start=1)
            if OPEN_ENDS.search(line)
        ]
    )


def test_every_waiver_names_its_rule_and_its_reason() -> None:
    found = []
    for path in tracked():
        if path.suffix != ".py":
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            waiver = WAIVERS.search(line)
            if waiver and (not waiver["rule"] or len(waiver["why"].strip(" #:-")) < 10):
                found.append(f"{place(path, number)}: mend the cause, or name the rule and, after it, the reason")
    report(found)


def test_every_test_is_named_as_a_promise() -> None:
    report(
        [
            f"{place(path, node.lineno)}: {node.name}: say what is promised, in {TEST_WORDS_MIN} words or more"
            for path in sorted((ROOT / "tests").rglob("test_*.py"))
            for node in functions(parsed(path))
            if node.name.startswith("test_") and len(node.name.split("_")) - 1 < TEST_WORDS_MIN
        ]
    )


# Runs in an interpreter of its own: imports every module while watching what Python does to the world.
WATCH = """
import importlib, pkgutil, sys, threading
deeds = []
def watch(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        deeds.append(f"opens {args[0]} to write")
    elif event == "open" and not isinstance(args[1], str) and args[2] & 3:
        deeds.append(f"opens {args[0]} to write")
    elif event in {"socket.bind", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.remove"}:
        deeds.append(f"{event} {args}")
    elif event == "_thread.start_new_thread":
        deeds.append("starts a thread")
sys.addaudithook(watch)
import everytick
for module in pkgutil.walk_packages(everytick.__path__, "everytick."):
    if module.name.endswith("__main__"):
        continue
    before = len(deeds)
    importlib.import_module(module.name)
    for deed in deeds[before:]:
        print(f"importing {module.name} {deed}")
if threading.active_count() != 1:
    print("threads are running:", threading.enumerate())
"""


def test_importing_any_module_starts_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", f"move this out of the module's top level:\n{done.stdout}"


def test_the_watch_itself_sees_a_file_and_a_socket() -> None:
    broken = WATCH.replace("import everytick\n", "import everytick, socket\n").replace(
        "    importlib.import_module(module.name)\n",
        "    socket.socket().bind(('127.0.0.1', 0)); importlib.import_module(module.name); break\n",
    )
    broken = broken.replace("    for deed in deeds[before:]:\n", "    pass\nfor deed in deeds:\n").replace(
        '        print(f"importing', '    print(f"importing'
    )
    done = subprocess.run([sys.executable, "-B", "-c", broken], capture_output=True, text=True, timeout=60, check=False)
    assert "socket.bind" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "line", ["/wo" + "rk/x", "see /ho" + "me/me/x", "https://py" + "pi.org/simple", "files.python" + "hosted.org"]
)
def test_the_leak_check_sees_a_leak(line: str) -> None:
    assert any(leak.search(line) for leak in LEAKS.values())


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
