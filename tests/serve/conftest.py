"""The one caller that most tests need."""

from __future__ import annotations

import pytest
from tests.serve.asking import Caller, caller_of, filled_store


@pytest.fixture
def call() -> Caller:
    """A caller of an API over a small store with some of everything."""
    return caller_of(filled_store())
