"""Every channel over real sockets on loopback: what it sends, and what each answer means."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import pytest
from tests.serve.loopback import HttpTaker, http_taker, mail_taker

from everytick.errors import EverytickError, Refused, Retryable
from everytick.host.clock import HostClock
from everytick.host.guarded import GuardedHttp, GuardedResolver, is_forbidden, literal
from everytick.host.mail import Mail
from everytick.model.alert import Message, Severity, State
from everytick.model.secret import Redactor, Secret
from everytick.ports import Clock, Http, Notifier
from everytick.serve import notify

CANARY = "canary-7f3a9d-5b1c"
CLOCK: Clock = HostClock()
CLEAN = Redactor([Secret(CANARY)]).clean


def message(text: str = "the store does not answer", **more: object) -> Message:
    given = {"severity": Severity.CRITICAL, "state": State.OPENED, "title": "store_unreachable: store", **more}
    return Message("1a-1", 1_790_000_000_000_000_000, "store_unreachable", "store", text=text, **given)  # type: ignore[arg-type] # a test's shorthand


def sent(channel: str, taker: HttpTaker, said: Message | None = None, **more: object) -> None:
    """Send one message by a channel that is made for the taker. Raises what the channel raises."""

    async def send() -> None:
        http: Http = GuardedHttp()
        try:
            await _channel(channel, http, taker).notify(said or message())
        finally:
            await http.close()

    asyncio.run(send())


def _channel(name: str, http: Http, taker: HttpTaker) -> Notifier:
    if name == "discord":
        return notify.Discord(http, Secret(f"{taker.url}/api/webhooks/1/{CANARY}"), CLOCK, CLEAN)
    if name == "telegram":
        return notify.Telegram(http, taker.url, Secret(f"123:{CANARY}"), "-100200", CLOCK, CLEAN)
    return notify.Webhook(http, Secret(f"{taker.url}/hook/{CANARY}"), Secret(CANARY), CLOCK, CLEAN)


CHANNELS = ["discord", "telegram", "webhook"]


def test_discord_gets_one_embed_that_pings_nobody() -> None:
    with http_taker() as taker:
        sent("discord", taker, message("@everyone look"))
    (asked,) = taker.asked
    assert asked.path == f"/api/webhooks/1/{CANARY}"
    assert asked.json["allowed_mentions"] == {"parse": []}
    (embed,) = asked.json["embeds"]
    assert "store_unreachable" in embed["title"]
    assert "docs/RUNBOOK.md#store_unreachable" in embed["description"]


def test_telegram_gets_plain_text_for_its_chat() -> None:
    with http_taker() as taker:
        sent("telegram", taker, message("<b>not markup"))
    (asked,) = taker.asked
    assert asked.path == f"/bot123:{CANARY}/sendMessage"
    assert asked.json["chat_id"] == "-100200"
    assert "parse_mode" not in asked.json
    assert "<b>not markup" in asked.json["text"]


def test_telegram_can_say_no_with_a_200() -> None:
    with http_taker() as taker:
        taker.answers = [(200, {}, b'{"ok":false,"description":"chat not found"}')]
        with pytest.raises(Retryable, match="chat not found"):
            sent("telegram", taker)


def test_a_webhook_proves_who_sent_it_and_when() -> None:
    with http_taker() as taker:
        sent("webhook", taker)
    (asked,) = taker.asked
    stamp = asked.headers[notify.TIMESTAMP]
    assert abs(int(stamp) - CLOCK.wall_ns() // 10**9) < 60
    expected = hmac.new(CANARY.encode(), f"{stamp}.".encode() + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers[notify.SIGNATURE] == f"sha256={expected}"
    assert asked.json["rule"] == "store_unreachable"
    assert asked.headers[notify.MESSAGE_ID] == asked.json["id"] == "1a-1"


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_long_text_is_cut_to_what_the_channel_takes(channel: str) -> None:
    with http_taker() as taker:
        sent(channel, taker, message("x" * 20_000, title="t" * 5_000))
    said = taker.asked[0].json
    if channel == "discord":
        assert len(said["embeds"][0]["title"]) <= 256
        assert len(said["embeds"][0]["description"]) <= 4_096
    elif channel == "telegram":
        assert len(said["text"]) <= 4_096


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_429_says_how_long_to_wait(channel: str) -> None:
    with http_taker() as taker:
        taker.answers = [(429, {"Retry-After": "7"}, b"slow down")]
        with pytest.raises(Retryable) as caught:
            sent(channel, taker)
    assert caught.value.retry_after_s == 7


def test_telegram_says_how_long_to_wait_in_its_body() -> None:
    with http_taker() as taker:
        taker.answers = [(429, {}, b'{"ok":false,"error_code":429,"parameters":{"retry_after":9}}')]
        with pytest.raises(Retryable) as caught:
            sent("telegram", taker)
    assert caught.value.retry_after_s == 9


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("status", "family"), [(500, Retryable), (503, Retryable), (401, Refused), (404, Refused), (302, Refused)]
)
def test_an_answer_tells_what_may_work_again(channel: str, status: int, family: type[EverytickError]) -> None:
    with http_taker() as taker, http_taker() as elsewhere:
        taker.answers = [(status, {"Location": f"{elsewhere.url}/moved"}, CANARY.encode())]
        with pytest.raises(family) as caught:
            sent(channel, taker)
        assert elsewhere.asked == [], "a redirect was followed"
    assert CANARY not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_secret_is_in_what_is_said_nor_in_the_error(channel: str) -> None:
    with http_taker() as taker:
        sent(channel, taker, message(f"cannot reach postgres://u:{CANARY}@db and {CANARY[3:14]}"))
    assert CANARY.encode() not in taker.asked[0].body
    assert CANARY[3:14].encode() not in taker.asked[0].body
    gone = HttpTaker(url="http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(Retryable) as caught:
        sent(channel, gone)
    assert CANARY not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "10.0.0.7",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "[fd00:ec2::254]",
    ],
)
def test_addresses_inside_are_never_asked(address: str) -> None:
    async def ask() -> None:
        http = GuardedHttp()
        try:
            await http.ask("GET", f"http://{address}/latest", b"", {}, timeout_s=1, body_bytes_max=100)
        finally:
            await http.close()

    with pytest.raises(Refused, match="may not be asked"):
        asyncio.run(ask())


def test_private_networks_can_be_allowed_and_the_metadata_service_cannot() -> None:
    for text, is_ever_forbidden in (("10.0.0.7", False), ("169.254.169.254", True), ("fe80::1", True)):
        address = literal(text)
        assert address is not None
        assert is_forbidden(address, allow_private=True) is is_ever_forbidden
        assert is_forbidden(address, allow_private=False)


class Rebinding(GuardedResolver):
    """A resolver whose names lead inside."""

    def __init__(self, *found: str) -> None:
        super().__init__(allow_private=False)
        self._inner = _Says(found)  # type: ignore[assignment] # the same one method


class _Says:
    def __init__(self, found: tuple[str, ...]) -> None:
        self._found = found

    async def resolve(self, host: str, port: int, family: int) -> list[dict[str, object]]:
        return [
            {"hostname": host, "host": one, "port": port, "family": 2, "proto": 6, "flags": 0} for one in self._found
        ]


def test_a_name_that_resolves_inside_leads_nowhere() -> None:
    with pytest.raises(OSError, match="no address"):
        asyncio.run(Rebinding("169.254.169.254", "127.0.0.1", "10.0.0.1").resolve("hooks.example.org", 443))
    (kept,) = asyncio.run(Rebinding("127.0.0.1", "93.184.216.34").resolve("hooks.example.org", 443))
    assert kept["host"] == "93.184.216.34"
    (kept,) = asyncio.run(Rebinding("127.0.0.1").resolve("localhost", 443))
    assert kept["host"] == "127.0.0.1"


def mail_to(port: int, said: Message) -> None:
    """Send one mail. Raises what the channel raises."""
    url = Secret(f"smtp://user:{CANARY}@127.0.0.1:{port}")
    channel = Mail(url, "everytick@example.org", ["ops@example.org", "b@example.org"], notify.body_of, CLEAN)
    asyncio.run(channel.notify(said))


def test_mail_is_taken_by_a_server_with_subject_and_text() -> None:
    with mail_taker() as taker:
        mail_to(taker.port, message(title="gap: BTC\r\nBcc: x@example.org"))
    (mail,) = taker.mails
    head = mail.partition("\r\n\r\n")[0]
    assert "Subject: [everytick] critical: gap: BTC Bcc: x@example.org" in head.replace("\r\n ", " ")
    assert "\r\nBcc:" not in head, "a line end in a title began a header"
    assert sum(line.startswith("rcpt") for line in map(str.lower, taker.said)) == 2


@pytest.mark.parametrize(("refuses", "family"), [("535", Refused), ("550", Refused), ("451", Retryable)])
def test_a_mail_servers_code_tells_what_may_work_again(refuses: str, family: type[EverytickError]) -> None:
    with mail_taker(refuses) as taker, pytest.raises(family) as caught:
        mail_to(taker.port, message())
    assert CANARY not in str(caught.value)


def test_no_mail_server_is_retryable_and_says_no_password() -> None:
    with pytest.raises(Retryable) as caught:
        mail_to(9, message())
    assert CANARY not in str(caught.value)
