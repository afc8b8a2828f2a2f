"""Where the real recordings are, if they are there."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def data_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of real recordings; the test is skipped where it is absent."""
    folder = request.config.rootpath.parent / "shared" / "data" / "hyperliquid"
    if not folder.is_dir():
        pytest.skip("no recordings: ../shared/data is absent beside the project")
    return folder
