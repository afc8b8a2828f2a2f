"""The simulated venue's HTTP side: accounts that agree with the market, and every kind of bad day."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import pytest

from everytick.errors import Retryable
from everytick.sim.hyperliquid import HyperliquidSim, VenueTraits
from everytick.sim.hyperliquid.traits import VAULTS
from everytick.sim.market import MarketTraits
from tests.sim.client import ask, running

MARKET = MarketTraits(coins=("BTC", "ETH"), trades_per_s=200.0)
META = {"type": "meta"}


def play(work: Callable[[HyperliquidSim], Awaitable[None]], traits: VenueTraits) -> None:
    async def main() -> None:
        async with running(HyperliquidSim(traits, seed=3, market=MARKET)) as sim:
            await work(sim)

    asyncio.run(main())


async def account(sim: HyperliquidSim, address: str) -> dict[str, Any]:
    answer = await ask(sim, {"type": "clearinghouseState", "user": address})
    assert answer.status == 200
    return msgspec.json.decode(answer.body)


def test_accounts_agree_with_the_market_and_a_stranger_holds_nothing() -> None:
    async def work(sim: HyperliquidSim) -> None:
        await sim.quiesce()
        mids = msgspec.json.decode((await ask(sim, {"type": "allMids"})).body)
        first, second, stranger = [await account(sim, one) for one in (*VAULTS, "0x" + "0" * 40)]
        for state, sign in ((first, 1), (second, -1)):
            assert [one["position"]["coin"] for one in state["assetPositions"]] == ["BTC", "ETH"]
            for one in state["assetPositions"]:
                size, value = Decimal(one["position"]["szi"]), Decimal(one["position"]["positionValue"])
                assert size * sign > 0
                assert value == abs(size) * Decimal(mids[one["position"]["coin"]])
        assert stranger["assetPositions"] == []
        assert Decimal(stranger["marginSummary"]["accountValue"]) == 0
        assert await account(sim, VAULTS[0].upper().replace("X", "x")) == first
        assert sim.asked["clearinghouseState"] == 4

    play(work, VenueTraits())


@pytest.mark.parametrize(("wish", "header"), [("", None), ("3", "3"), ("soon", "soon")])
def test_a_429_carries_the_wait_that_was_chosen(wish: str, header: str | None) -> None:
    async def work(sim: HyperliquidSim) -> None:
        answer = await ask(sim, META)
        assert (answer.status, answer.headers.get("Retry-After")) == (429, header)

    play(work, VenueTraits(info_429_share=1.0, info_retry_after=wish))


def test_a_429_may_name_a_date() -> None:
    async def work(sim: HyperliquidSim) -> None:
        answer = await ask(sim, META)
        asked, until = (parsedate_to_datetime(answer.headers[name]) for name in ("Date", "Retry-After"))
        assert 0 <= (until - asked).total_seconds() <= 3

    play(work, VenueTraits(info_429_share=1.0, info_retry_after="date"))


def test_a_503_a_page_for_people_and_a_cut_answer() -> None:
    async def failing(sim: HyperliquidSim) -> None:
        assert (await ask(sim, META)).status == 503

    async def page(sim: HyperliquidSim) -> None:
        answer = await ask(sim, META)
        assert (answer.status, answer.body[:6]) == (200, b"<html>")

    async def cut(sim: HyperliquidSim) -> None:
        with pytest.raises(Retryable):
            await ask(sim, META)

    play(failing, VenueTraits(info_503_share=1.0))
    play(page, VenueTraits(info_html_share=1.0))
    play(cut, VenueTraits(info_cut_share=1.0))


def test_long_answers_cost_more_once_they_are_made() -> None:
    async def work(sim: HyperliquidSim) -> None:
        wish = {"type": "recentTrades", "coin": "BTC"}
        assert [(await ask(sim, one)).status for one in (wish, wish, META)] == [200, 200, 429]  # 21 + 21 of 61

    play(work, VenueTraits(info_weight_per_minute=61))
