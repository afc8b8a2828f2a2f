"""A server that is away for hours is asked thousands of times: each time must leave nothing behind."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from everytick.errors import Retryable
from everytick.stores.open import open_store


def test_a_server_that_is_not_there_leaves_no_circles_in_memory(tmp_path: Path) -> None:
    url = f"postgresql://nobody@/nothing?host={tmp_path}"

    def ask() -> None:
        with pytest.raises(Retryable, match="not running, or not there"):
            open_store(url)

    ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            try:
                open_store(url)
            except Retryable:
                continue
        assert gc.collect() < 20
    finally:
        gc.enable()
