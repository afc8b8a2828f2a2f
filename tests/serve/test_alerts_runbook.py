"""Every alert tells a person what to do: the table and the runbook name the same ones in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from everytick.model.alert import Severity
from everytick.serve.alerts.rules import RULES
from everytick.serve.alerts.signals import HEALTH_RULES
from everytick.telemetry import FACTS

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "RUNBOOK.md"


def headings() -> dict[str, str]:
    """Each heading's text."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_runbook_has_one_heading_for_each_alert_in_the_tables_order() -> None:
    assert [name for name in headings() if name in RULES] == list(RULES)
    others = [name for name in headings() if name not in RULES and re.fullmatch(r"[a-z_]+", name)]
    assert others == [], "headings of alerts that no longer exist"


@pytest.mark.parametrize("name", RULES)
def test_each_heading_says_what_to_do(name: str) -> None:
    assert "**Do" in headings()[name]


def test_every_fact_that_the_table_names_exists() -> None:
    for rule in RULES.values():
        if "fact" in rule.watches:
            named = re.findall(r"`([a-z_]+)`", rule.watches)
            codes = set(HEALTH_RULES)
            assert named
            assert all(name in FACTS or name in codes or name == "stale" for name in named), rule.watches


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_makes_sense(rule: object) -> None:
    found = RULES[rule.name]  # type: ignore[attr-defined] # parametrised by the table's own rows
    assert found.hold_s >= 5, "health is looked at once a second: a shorter hold would flap"
    assert list(found.escalate_s) == sorted(found.escalate_s)
    assert found.is_condition or not found.escalate_s
    if found.severity is Severity.CRITICAL and found.is_condition:
        assert found.escalate_s, "what is critical and lasts is told again"
