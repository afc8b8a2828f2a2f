"""Rules that span several settings. Each names the settings it reads, so that a bad value is reported once."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from everytick.config.settings import Settings
from everytick.model.stream import Kind
from everytick.venues.registry import VENUES

TOKEN_CHARACTERS_MIN = 16  # 16 characters of base64 are 96 bits: beyond guessing over a network
STORE_SCHEME = "sqlite"
SERVER_SCHEMES = ("postgresql://", "postgres://")


class Broken(msgspec.Struct, frozen=True):
    """A rule that does not hold: at which setting, and the way out."""

    path: str
    problem: str
    suggestion: str = ""


Rule = Callable[[Settings], Iterator[Broken]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. A name other than localhost is not trusted to be."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _token_when_open(s: Settings) -> Iterator[Broken]:
    token = s.serve.token.reveal()
    if token and (len(token) < TOKEN_CHARACTERS_MIN or not token.isascii() or not token.isprintable() or " " in token):
        problem = f"expected at least {TOKEN_CHARACTERS_MIN} printable ASCII characters without blanks"
        yield Broken("serve.token", problem)
    elif not token and not is_loopback(s.serve.host):
        problem = f"required, because serve.host {s.serve.host} is reachable from other machines"
        yield Broken("serve.token", problem, "set EVERYTICK_SERVE__TOKEN_FILE, or serve.host to 127.0.0.1")


def _control_token(s: Settings) -> Iterator[Broken]:
    token = s.serve.control_token.reveal()
    if not token:
        return
    if len(token) < TOKEN_CHARACTERS_MIN or not token.isascii() or not token.isprintable() or " " in token:
        problem = f"expected at least {TOKEN_CHARACTERS_MIN} printable ASCII characters without blanks"
        yield Broken("serve.control_token", problem)
    elif s.serve.control_token == s.serve.token:
        yield Broken("serve.control_token", "the same as serve.token", "who may read must not be able to arm trading")


def _tape_sizes(s: Settings) -> Iterator[Broken]:
    if s.tape.block_bytes_max > s.tape.segment_bytes_max:
        yield Broken("tape.block_bytes_max", f"larger than tape.segment_bytes_max ({s.tape.segment_bytes_max})")
    if s.tape.backlog_bytes_max < s.tape.block_bytes_max:
        yield Broken(
            "tape.backlog_bytes_max", f"smaller than one block (tape.block_bytes_max, {s.tape.block_bytes_max})"
        )


def _store_url(s: Settings) -> Iterator[Broken]:
    url = s.store.url.reveal()
    if not url:
        return
    scheme, separator, rest = url.partition("://")
    if url.startswith(SERVER_SCHEMES):
        yield from _server_url(url)
    elif scheme != STORE_SCHEME or not separator:
        problem = f"this version has no store for {scheme or 'an empty scheme'}://" if separator else "not an address"
        yield Broken("store.url", problem, "write sqlite:///store.sqlite or postgresql://..., or leave it empty")
    elif not rest.startswith("/") or len(rest) < 2 or "?" in rest:
        yield Broken("store.url", "expected sqlite:/// and a file's path", "write sqlite:///store.sqlite")


def _server_url(url: str) -> Iterator[Broken]:
    """Never says a part of the address: a password with a stray character can end up in any of them."""
    example = "write postgresql://user:password@host:5432/database, with %40 for an @ in the password"
    try:
        parts = urlsplit(url)
        host, port, name = parts.hostname, parts.port, parts.path.strip("/")
    except ValueError:
        yield Broken("store.url", "its host or port cannot be read", example)
        return
    given = parse_qs(parts.query)
    if "#" in url or re.search(r"%(?![0-9A-Fa-f]{2})", url):
        yield Broken("store.url", "holds a # or a % that stands for itself", "write %23 for # and %25 for %")
    elif not host and "host" not in given:
        yield Broken("store.url", "names no host", example)
    elif port == 0:
        yield Broken("store.url", "expected a port from 1 to 65,535", example)
    elif not name and "dbname" not in given:
        yield Broken("store.url", "names no database", example)


def _venue_lists(name: str, instruments: str) -> Rule:
    """The rule of one venue's lists; `instruments` is what its section calls them."""

    def rule(s: Settings) -> Iterator[Broken]:
        section, at = s.venues.by_name()[name], f"venues.{name}"
        if not section.enabled:
            return
        if not section.instruments:
            one = instruments.removesuffix("s")
            yield Broken(f"{at}.{instruments}", "empty", f"name a {one}, or set {at}.enabled = false")
        if not section.streams:
            yield Broken(f"{at}.streams", "empty", f"name a stream, or set {at}.enabled = false")
        offered = VENUES[name].SEQUENCING
        for kind in section.streams:
            if kind not in offered:
                names = ", ".join(one.value for one in offered)
                yield Broken(f"{at}.streams", f"{name} has no {kind.value}", f"one of {names}")
        if Kind.CANDLES in section.streams and not section.candle_intervals:
            yield Broken(f"{at}.candle_intervals", "empty, but streams has candles", "name an interval: 1m")
        each = sum(len(section.candle_intervals) if kind is Kind.CANDLES else 1 for kind in section.streams)
        count, most = len(section.instruments), VENUES[name].LIMITS.subscriptions_max
        if each * count > most:
            problem = f"{count} {instruments} x {each} streams each; the venue allows {most} in all"
            yield Broken(f"{at}.{instruments}", problem, f"record fewer {instruments} or streams")

    return rule


def _encrypted_away_from_home(s: Settings) -> Iterator[Broken]:
    for name, section in s.venues.by_name().items():
        yield from _address(f"venues.{name}.ws_url", section.ws_url, "wss")
        yield from _address(f"venues.{name}.http_url", section.http_url, "https")


def _one_world(s: Settings) -> Iterator[Broken]:
    """A record must not be half simulated: gaps of a venue on this machine would be filled from the real one."""
    for name, section in s.venues.by_name().items():
        ws_host, http_host = (urlsplit(url).hostname or "" for url in (section.ws_url, section.http_url))
        if section.enabled and is_loopback(ws_host) != is_loopback(http_host):
            here, there = ("ws_url", "http_url") if is_loopback(ws_host) else ("http_url", "ws_url")
            yield Broken(
                f"venues.{name}.{there}",
                f"another machine, while {here} is this one: a simulated record would be mixed with the real venue's",
                f"set both, or leave both; the simulator prints them: everytick sim (venues.{name}.{there})",
            )


def _alert_addresses(s: Settings) -> Iterator[Broken]:
    alerts = s.alerts
    for path, url in (
        ("alerts.discord_webhook_url", alerts.discord_webhook_url.reveal()),
        ("alerts.telegram_url", alerts.telegram_url),
        ("alerts.webhook_url", alerts.webhook_url.reveal()),
        ("alerts.dead_man_url", alerts.dead_man_url.reveal()),
    ):
        if url:
            yield from _address(path, url, "https")


def _alert_channels(s: Settings) -> Iterator[Broken]:
    alerts = s.alerts
    if alerts.telegram_token and not alerts.telegram_chat:
        yield Broken("alerts.telegram_chat", "empty, but alerts.telegram_token is set", "name the chat")
    if alerts.webhook_key and not alerts.webhook_url:
        yield Broken("alerts.webhook_url", "empty, but alerts.webhook_key is set", "name the webhook")
    url = alerts.mail_url.reveal()
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        yield Broken("alerts.mail_url", "not an address", "write smtps://user:password@host:465")
    if not alerts.mail_from or "@" not in alerts.mail_from or not alerts.mail_from.isprintable():
        yield Broken("alerts.mail_from", "expected an address, because alerts.mail_url is set", "name the sender")
    if not alerts.mail_to:
        yield Broken("alerts.mail_to", "empty, but alerts.mail_url is set", "name a recipient")


def _external_url(s: Settings) -> Iterator[Broken]:
    if s.health.external_url:
        yield from _address("health.external_url", s.health.external_url, "https")


def _address(path: str, url: str, secure: str) -> Iterator[Broken]:
    """`url` must be encrypted unless it stays on this machine. Never says the address: it may be a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        has_port = parts.port != 0
    except ValueError:
        host, has_port = "", False
    if not host or not has_port:
        yield Broken(path, "not an address", f"write {secure}://host")
    elif parts.scheme != secure and not (is_loopback(host) and parts.scheme == secure.removesuffix("s")):
        yield Broken(path, f"expected {secure}://; unencrypted only to this machine", f"write {secure}://...")


def _data_folder(s: Settings) -> Iterator[Broken]:
    if s.data.dir.startswith("~"):
        yield Broken("data.dir", "~ is not read as your home folder here", "write the whole path")
        return
    path = Path(s.data.dir)
    # os.path and not Path.exists: a place that may not be looked at is the disk's to refuse, when it is used.
    for place in (path, *path.parents):
        if os.path.exists(place) and not os.path.isdir(place):
            yield Broken("data.dir", f"{place} is a file, not a folder", "name a folder; it is made on first use")


RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (_data_folder, ("data.dir",)),
    (_token_when_open, ("serve.host", "serve.token")),
    (_control_token, ("serve.token", "serve.control_token")),
    (_tape_sizes, ("tape.segment_bytes_max", "tape.block_bytes_max", "tape.backlog_bytes_max")),
    (_store_url, ("store.url",)),
    *(
        (
            _venue_lists(name, instruments),
            tuple(f"venues.{name}.{field}" for field in ("enabled", instruments, "streams", "candle_intervals")),
        )
        for name, instruments in (("hyperliquid", "coins"), ("binance", "symbols"))
    ),
    (
        _encrypted_away_from_home,
        tuple(f"venues.{name}.{field}" for name in VENUES for field in ("ws_url", "http_url")),
    ),
    (_one_world, tuple(f"venues.{name}.{field}" for name in VENUES for field in ("enabled", "ws_url", "http_url"))),
    (
        _alert_addresses,
        ("alerts.discord_webhook_url", "alerts.telegram_url", "alerts.webhook_url", "alerts.dead_man_url"),
    ),
    (
        _alert_channels,
        (
            "alerts.telegram_token",
            "alerts.telegram_chat",
            "alerts.webhook_url",
            "alerts.webhook_key",
            "alerts.mail_url",
            "alerts.mail_from",
            "alerts.mail_to",
        ),
    ),
    (_external_url, ("health.external_url",)),
)


def broken_rules(settings: Settings, faulty: frozenset[str]) -> list[Broken]:
    """Every rule that does not hold, leaving out rules over settings that are faulty in themselves."""
    return [broken for rule, reads in RULES if not faulty.intersection(reads) for broken in rule(settings)]
