"""A bounded share of the kill sweep (the long one: `python -m tests.crash.killing --kills 300`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.crash.killing import AGAIN_S_MAX, sweep


def test_a_killed_recorder_loses_nothing_durable_and_explains_every_restart(tmp_path: Path) -> None:
    outcome = asyncio.run(sweep(8, 7, tmp_path))
    assert outcome.kills == 8
    assert outcome.durable_lost == 0
    assert outcome.rows_lost == 0
    assert outcome.unexplained_starts == 0
    assert outcome.is_intact
    assert outcome.rebuilt_differs == ""
    assert outcome.audit is not None
    assert outcome.audit.honest, outcome.audit
    assert max(outcome.again_s) < AGAIN_S_MAX
