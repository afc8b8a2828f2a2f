"""A mutant as a small patch of one module's text, put in place when the module is imported."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Mutant:
    """One mutant. `old` stands exactly once in the module, and is replaced by `new`."""

    name: str
    breaks: str
    module: str
    old: str
    new: str


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module as usual, and loads it from other text."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.is_used = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.mutant.module:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path, target)
        if found is None or found.origin is None:
            return None
        self.is_used = True
        loader = _Loader(name, found.origin, mutated(self.mutant, Path(found.origin).read_text()))
        return importlib.util.spec_from_file_location(name, found.origin, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from a text that is not its file's."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> object:
        return compile(self._text, self.path, "exec", dont_inherit=True)


def mutated(mutant: Mutant, text: str) -> str:
    """The module's text with the mutant in it. ValueError: the place is not there, or not alone."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its place stands {text.count(mutant.old)} times in {mutant.module}, not once")
    return text.replace(mutant.old, mutant.new)


def install(mutant: Mutant) -> None:
    """From now on the module is the mutant. Before anything of the product is imported."""
    assert mutant.module not in sys.modules, f"{mutant.module} is imported already"
    sys.meta_path.insert(0, _Finder(mutant))
