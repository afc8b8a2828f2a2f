"""How a message is said on Discord, to a Telegram chat and to a webhook of one's own, over ports.Http.

HTTP directly and not through Apprise, for the reasons in docs/decisions/0002-alerts.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

import msgspec

from everytick.core.pacing import retry_after_ns
from everytick.errors import Refused, Retryable
from everytick.model.alert import Message, Severity
from everytick.model.secret import Secret
from everytick.model.units import NS_PER_S
from everytick.ports import Clock, Http, HttpAnswer

TIMEOUT_S = 5.0  # a chat answers in well under a second; a channel that hangs must not make the next one late
ANSWER_BYTES_MAX = 64 * 1024

SIGNATURE = "X-Everytick-Signature"
TIMESTAMP = "X-Everytick-Timestamp"
MESSAGE_ID = "X-Everytick-Id"

SIGNS = {Severity.INFO: "🟢", Severity.WARNING: "🟠", Severity.CRITICAL: "🔴"}
_COLOURS = {Severity.INFO: 0x2E9E4F, Severity.WARNING: 0xE08A1E, Severity.CRITICAL: 0xD0312D}

# Discord: title 256, description 4,096 characters. https://docs.discord.com/developers/resources/message (read 2026-11)
DISCORD_TITLE_MAX, DISCORD_TEXT_MAX = 256, 4_096
# Telegram: 4,096 characters after entities. https://core.telegram.org/bots/api#sendmessage (read 2026-11)
TELEGRAM_TEXT_MAX = 4_096

Clean = Callable[[str], str]


class Discord:
    """A Discord webhook."""

    def __init__(self, http: Http, url: Secret, clock: Clock, clean: Clean) -> None:
        self._http, self._url, self._clock, self._clean = http, url, clock, clean

    async def notify(self, message: Message) -> None:
        """Post one embed. Discord's 429 carries Retry-After in seconds."""
        embed = {
            "title": cut(self._clean(f"{SIGNS[message.severity]} {message.title}"), DISCORD_TITLE_MAX),
            "description": cut(self._clean(body_of(message)), DISCORD_TEXT_MAX),
            "color": _COLOURS[message.severity],
        }
        # Nobody is pinged by a name that happens to stand in a text.
        said = {"username": "everytick", "embeds": [embed], "allowed_mentions": {"parse": []}}
        await _post(self._http, self._url.reveal(), said, {}, "Discord", self._clock, self._clean)


class Telegram:
    """A chat with a Telegram bot."""

    def __init__(self, http: Http, base_url: str, token: Secret, chat: str, clock: Clock, clean: Clean) -> None:
        self._http, self._base_url, self._token, self._chat = http, base_url, token, chat
        self._clock, self._clean = clock, clean

    async def notify(self, message: Message) -> None:
        """Send plain text: markup could be cut in the middle of a tag or made by a stranger's words."""
        head = f"{SIGNS[message.severity]} {message.title}"
        said = {
            "chat_id": self._chat,
            "text": cut(self._clean(f"{head}\n{body_of(message)}"), TELEGRAM_TEXT_MAX),
            "disable_notification": message.severity is Severity.INFO,
        }
        url = f"{self._base_url.rstrip('/')}/bot{self._token.reveal()}/sendMessage"
        answer = await _post(self._http, url, said, {}, "Telegram", self._clock, self._clean)
        # Bot API: a 200 may still say that it failed. https://core.telegram.org/bots/api#making-requests (read 2026-11)
        try:
            told = msgspec.json.decode(answer.body, type=_TelegramSaid)
        except msgspec.DecodeError as error:
            raise Retryable("Telegram: the answer is none of the Bot API's") from error
        if not told.ok:
            raise Retryable(f"Telegram did not take the message: {self._clean(told.description)[:200]}")


class _TelegramSaid(msgspec.Struct):
    ok: bool
    description: str = ""


class Webhook:
    """A webhook of one's own: JSON, with an HMAC-SHA256 over `timestamp.body` where a key is set."""

    def __init__(self, http: Http, url: Secret, key: Secret, clock: Clock, clean: Clean) -> None:
        self._http, self._url, self._key, self._clock, self._clean = http, url, key, clock, clean

    async def notify(self, message: Message) -> None:
        """Post the message. The time in the signature lets the receiver refuse an old request sent again."""
        said = {
            "id": message.id,
            "at_ms": message.at_ns // 1_000_000,
            "rule": message.rule,
            "subject": self._clean(message.subject),
            "severity": message.severity.value,
            "state": message.state.value,
            "title": self._clean(message.title),
            "text": self._clean(message.text),
            "count": message.count,
            "may_repeat": message.may_repeat,
            "runbook": runbook_of(message),
        }
        body = msgspec.json.encode(said)
        headers = {MESSAGE_ID: message.id}
        if self._key:
            stamp = str(self._clock.wall_ns() // NS_PER_S)
            headers |= {TIMESTAMP: stamp, SIGNATURE: signature(self._key, stamp, body)}
        await _post(self._http, self._url.reveal(), body, headers, "the webhook", self._clock, self._clean)


def signature(key: Secret, stamp: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the timestamp (seconds), a full stop and the body."""
    mac = hmac.new(key.reveal().encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={mac.hexdigest()}"


def body_of(message: Message) -> str:
    """What a person reads below the title."""
    seconds = message.at_ns // NS_PER_S
    at = f"{seconds // 3_600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d} UTC"
    lines = [message.text] if message.text else []
    if message.may_repeat:
        lines.append("(may be a repeat: the program stopped while this was being sent)")
    return "\n".join([*lines, f"{message.severity.value} · {at} · {runbook_of(message)}"])


def runbook_of(message: Message) -> str:
    """Where the runbook speaks about it."""
    return f"docs/RUNBOOK.md#{message.rule}"


def cut(text: str, characters_max: int) -> str:
    """The text, with an ellipsis where it is too long."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


async def ping(http: Http, url: Secret, name: str, clean: Clean, *, is_any: bool = False) -> None:
    """GET an address that wants to hear from us. Raises Retryable unless the answer is a success, or `is_any`."""
    try:
        answer = await http.ask("GET", url.reveal(), b"", {}, timeout_s=TIMEOUT_S, body_bytes_max=ANSWER_BYTES_MAX)
    except Retryable as error:
        raise Retryable(clean(f"{name}: {error}")) from None
    if not is_any and not 200 <= answer.status < 300:
        raise Retryable(f"{name} answered {answer.status}")


async def _post(
    http: Http, url: str, said: object, headers: Mapping[str, str], name: str, clock: Clock, clean: Clean
) -> HttpAnswer:
    body = said if isinstance(said, bytes) else msgspec.json.encode(said)
    sent = {"Content-Type": "application/json", "User-Agent": "everytick", **headers}
    try:
        answer = await http.ask("POST", url, body, sent, timeout_s=TIMEOUT_S, body_bytes_max=ANSWER_BYTES_MAX)
    except Retryable as error:
        # The address is the secret: of the error only what is left without it goes on, and no chain behind it.
        raise Retryable(clean(f"{name}: {error}".replace(url, "its address"))) from None
    except Refused:
        raise Refused(f"{name}: its address is not one that may be asked") from None
    if 200 <= answer.status < 300:
        return answer
    what = f"{name} answered {answer.status}"
    if answer.status in (400, 401, 403, 404, 405, 410) or 300 <= answer.status < 400:
        raise Refused(f"{what}: check its address and keys in the settings")
    raise Retryable(what, retry_after_s=_asked_wait_s(answer, clock.wall_ns()))


def _asked_wait_s(answer: HttpAnswer, wall_ns: int) -> float | None:
    """The other side's wish, from the header or, Telegram's way, from the body."""
    header = next((value for name, value in answer.headers.items() if name.lower() == "retry-after"), None)
    wait_ns = retry_after_ns(header, wall_ns)
    if wait_ns:
        return wait_ns / NS_PER_S
    try:
        return msgspec.json.decode(answer.body, type=_Slower).parameters.retry_after
    except msgspec.DecodeError:
        return None


class _Wait(msgspec.Struct):
    retry_after: float


class _Slower(msgspec.Struct):
    parameters: _Wait
