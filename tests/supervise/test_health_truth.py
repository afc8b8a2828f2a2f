"""A bounded share of the sweep over failures (the long one: `python -m tests.supervise.health_truth`)."""

from __future__ import annotations

import pytest

from everytick.supervise.health import Health, Status
from tests.supervise import health_truth
from tests.supervise.health_truth import Tally, run


def test_health_never_says_ok_while_due_data_is_not_arriving_and_hardly_ever_cries_wolf() -> None:
    tally = Tally()
    for seed in range(1, 41):
        run(seed, tally)
    assert tally.examples == []
    assert tally.late > 3_000
    assert tally.false_alarms < tally.well / 1_000, tally.causes


@pytest.mark.parametrize("says", [Status.OK, Status.STALE])
def test_the_model_catches_a_health_that_always_says_the_same(monkeypatch: pytest.MonkeyPatch, says: Status) -> None:
    monkeypatch.setattr(health_truth, "health", lambda *_: Health(says))
    tally = Tally()
    for seed in range(1, 4):
        run(seed, tally)
    assert (tally.lies >= 100) is (says is Status.OK)
    assert (tally.false_alarms > 1_000) is (says is Status.STALE)
