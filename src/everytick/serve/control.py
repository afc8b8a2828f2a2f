"""/trading, /halt and /arm: the kill switch over HTTP."""

from __future__ import annotations

from everytick.errors import Refused, Retryable
from everytick.serve.answers import TradingAnswer
from everytick.serve.queries import Nothing, ReasonQuery
from everytick.serve.refusal import RequestRefused
from everytick.serve.route import Reply
from everytick.serve.sources import Sources
from everytick.supervise.switch import SwitchState, Trading

# A halt that is in force here and not on disk yet: the caller must know that a restart may forget it.
NOT_DURABLE = 503


def trading(sources: Sources, _: Nothing) -> Reply:
    """How the switch stands; from memory."""
    return Reply(_answer(sources.switch()))


def halt(sources: Sources, query: ReasonQuery) -> Reply:
    """Halt trading now, and durably."""
    return _change(sources, Trading.HALTED, query.reason)


def arm(sources: Sources, query: ReasonQuery) -> Reply:
    """Arm trading once that is durable."""
    return _change(sources, Trading.ARMED, query.reason)


def _change(sources: Sources, to: Trading, reason: str) -> Reply:
    try:
        return Reply(_answer(sources.set_switch(to, reason, sources.caller)))
    except Retryable:
        return Reply(_answer(sources.switch()), status=NOT_DURABLE)
    except RequestRefused:
        raise
    except Refused as refused:
        raise RequestRefused(400, str(refused), parameter="reason", value=reason) from None


def _answer(state: SwitchState) -> TradingAnswer:
    return TradingAnswer(state.is_armed, state.trading.value, state.reason, state.who, state.ts_ms, state.number)
