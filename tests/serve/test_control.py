"""The kill switch over HTTP: who may read it, who may set it, and that a halt never depends on a disk."""

from __future__ import annotations

import pytest
from tests.serve.asking import CONTROL, Caller, caller_of, filled_store

from everytick.errors import Retryable
from everytick.supervise.switch import SwitchState, Trading

READ = "the-read-token-123"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def call() -> Caller:
    return caller_of(filled_store(), token=READ, control_token=CONTROL)


@pytest.mark.parametrize("path", ["/halt", "/arm"])
def test_who_may_only_read_may_change_nothing(call: Caller, path: str) -> None:
    assert call(path, {"reason": "x"}, method="POST").status == 401
    assert call(path, {"reason": "x"}, method="POST", **bearer("wrong")).status == 401
    refused = call(path, {"reason": "x"}, method="POST", **bearer(READ))
    assert (refused.status, refused.json["expected"]) == (403, "the control token")
    assert call("/trading", **bearer(READ)).json["who"] == "settings"


def test_the_control_token_halts_arms_and_reads(call: Caller) -> None:
    halted = call("/halt", {"reason": "odd prices"}, method="POST", **bearer(CONTROL))
    assert (halted.status, halted.json["state"], halted.json["reason"]) == (200, "halted", "odd prices")
    assert call("/trading", **bearer(READ)).json["trading_enabled"] is False
    assert call("/health", **bearer(CONTROL)).json["trading_enabled"] is False
    assert call("/stats", **bearer(CONTROL)).json["trading_enabled"] is False
    armed = call("/arm", {"reason": "all well"}, method="POST", **bearer(CONTROL))
    assert (armed.json["state"], armed.json["who"]) == ("armed", "api")
    assert call("/health", **bearer(READ)).json["trading_enabled"] is True


def test_without_a_control_token_nobody_changes_anything() -> None:
    for call, headers in (
        (caller_of(filled_store()), {}),
        (caller_of(filled_store(), token=READ), bearer(READ)),
    ):
        refused = call("/halt", {"reason": "x"}, method="POST", **headers)
        assert (refused.status, refused.json["expected"]) == (403, "set serve.control_token")
    assert caller_of(filled_store(), token=READ)("/halt", {"reason": "x"}, method="POST").status == 401


def test_a_change_is_never_made_by_a_get_and_never_without_a_reason(call: Caller) -> None:
    answer = call("/halt", {"reason": "x"}, **bearer(CONTROL))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    for query in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}):
        assert call("/halt", query, method="POST", **bearer(CONTROL)).status == 400
    assert call("/trading", method="POST", **bearer(CONTROL)).status == 405
    assert call("/trading", **bearer(READ)).json["trading_enabled"] is True


def test_a_halt_that_is_not_on_disk_yet_says_so_with_503() -> None:
    halted = SwitchState(Trading.HALTED, "odd", "api", 0, -1)

    def slow_disk(_to: Trading, _reason: str, _who: str) -> SwitchState:
        raise Retryable("the switch is not on disk yet")

    call = caller_of(filled_store(), control_token=CONTROL)
    sources = call.api._sources
    sources.set_switch, sources.switch = slow_disk, lambda: halted
    answer = call("/halt", {"reason": "odd"}, method="POST", **bearer(CONTROL))
    assert (answer.status, answer.json["trading_enabled"], answer.json["number"]) == (503, False, -1)
