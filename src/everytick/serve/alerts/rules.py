"""The table of alerts. Each line has a heading of its name in docs/RUNBOOK.md, which says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from everytick.core.alerting import RECOVERED
from everytick.model.alert import Rule, Severity

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL

MINUTE, HOUR = 60, 3_600


def _event(
    name: str,
    severity: Severity,
    watches: str,
    text: str,
    *,
    cooldown_s: int = 300,
    times_min: int = 1,
    within_s: int = MINUTE,
) -> Rule:
    return Rule(name, severity, watches, text, False, cooldown_s=cooldown_s, times_min=times_min, within_s=within_s)


def _condition(
    name: str,
    severity: Severity,
    watches: str,
    text: str,
    escalate_s: tuple[int, ...],
    *,
    cooldown_s: int = 300,
    hold_s: int = 10,
    after_s: int = 0,
) -> Rule:
    return Rule(
        name,
        severity,
        watches,
        text,
        True,
        cooldown_s=cooldown_s,
        hold_s=hold_s,
        after_s=after_s,
        escalate_s=escalate_s,
    )


_TABLE: tuple[Rule, ...] = (
    _event("started", INFO, "the fact `recorder_started`", "a recorder started"),
    _event(
        "crash_loop",
        CRITICAL,
        "three starts within ten minutes",
        "the recorder starts again and again",
        times_min=3,
        within_s=10 * MINUTE,
    ),
    _condition(
        "store_unreachable",
        CRITICAL,
        "the fact `store_unavailable`, health `store_trouble`",
        "the store does not answer; recording goes on",
        (10 * MINUTE, HOUR),
    ),
    _event(
        "worker_crashed",
        WARNING,
        "the facts `task_died`, `projector_failed`, `watchdog_failed`; critical when it is final, as "
        "`watchdog_gave_up` and `stop_too_long` are",
        "a part of the program died",
    ),
    _condition(
        "wedged",
        CRITICAL,
        "the fact `worker_wedged`, health `loop_wedged` and `watchdog_dead`",
        "a part runs but makes no progress",
        (5 * MINUTE, HOUR),
        hold_s=60,
    ),
    _event("gap", WARNING, "the fact `gap_found` and the ledger", "data may be missing"),
    _condition(
        "stale",
        WARNING,
        "every health reason of status `stale`",
        "data that is due is late",
        (15 * MINUTE, HOUR),
    ),
    # A venue cuts lines as a matter of course and a reconnect takes seconds: a page about each would be noise.
    _condition(
        "connection_down",
        WARNING,
        "health `connection_down` for 30 s",
        "a venue cannot be reached",
        (15 * MINUTE, HOUR),
        after_s=30,
    ),
    _condition(
        "degraded",
        WARNING,
        "every other health reason of status `degraded`",
        "a part is broken",
        (15 * MINUTE, HOUR),
    ),
    _condition(
        "tape_stuck",
        CRITICAL,
        "the fact `tape_full`, health `tape_trouble`",
        "the tape takes no frames: they wait in memory",
        (5 * MINUTE, HOUR),
    ),
    _event("tape_damaged", CRITICAL, "the facts `tape_damaged` and `tape_sync_failed`", "the disk lost what it held"),
    # A disk fills and empties slowly, and a message at each of the three levels is enough.
    _condition(
        "disk",
        WARNING,
        "room on the data folder's disk: info at 80 %, warning at 90 %, critical at 95 %",
        "the disk fills up",
        (),
        hold_s=MINUTE,
        cooldown_s=HOUR,
    ),
    _event(
        "quarantine",
        WARNING,
        "100 facts `event_quarantined` within a minute, by venue",
        "a venue sends what cannot be read or cannot be true",
        cooldown_s=15 * MINUTE,
        times_min=100,
    ),
    _event("clock_offset", WARNING, "the fact `clock_stepped`", "the machine's clock was set"),
    # Told once by its fact, until the vault holds something again: an edge, whose end nobody tells.
    _event("vault_zero", WARNING, "the fact `vault_zero`: zero three times", "a vault reads zero", cooldown_s=HOUR),
    _event(
        "trading", WARNING, "the facts `trading_switched` and `switch_unreadable`", "the kill switch stands differently"
    ),
    _condition(
        "channel_failing",
        WARNING,
        "three failed deliveries to one channel of alerts in a row",
        "a channel of alerts takes nothing; the others go on",
        (6 * HOUR,),
        hold_s=3 * MINUTE,
        cooldown_s=HOUR,
    ),
    _event(RECOVERED, INFO, "the end of any condition above that was told", "it is over", cooldown_s=0),
    _event("test", INFO, "`everytick alerts test`", "a test message", cooldown_s=0),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _TABLE})
