"""A hundred canary secrets through every path at DEBUG, and not one of them comes out."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import sys
import threading
import warnings
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from everytick.config import examine
from everytick.config.fields import walk
from everytick.errors import Fatal, Refused, Retryable
from everytick.host import last_words
from everytick.host.clock import HostClock
from everytick.host.guarded import GuardedHttp
from everytick.host.ids import HostIds
from everytick.model.secret import Redactor, Secret, SecretUrl
from everytick.serve import notify
from everytick.serve.alerts.engine import Alerts, Inputs
from everytick.serve.alerts.inbox import Inbox
from everytick.serve.alerts.memory import Memory
from everytick.serve.alerts.signals import FACT_SIGNALS, Room
from everytick.supervise.health import Health, Reason, Status
from everytick.telemetry import FACTS, LogSettings, Telemetry
from everytick.telemetry.foreign import ForeignLog
from tests.security.canaries import Search, canaries
from tests.serve.loopback import http_taker
from tests.telemetry.test_facts import sample

HUNDRED = canaries(70, 1) + canaries(30, 2, awkward=True)
SEARCH = Search(HUNDRED)
DEBUG = msgspec.convert({"format": "json", "level": "debug"}, LogSettings)
CONSOLE = msgspec.convert({"format": "console", "level": "debug"}, LogSettings)


def wrapped(secret: str) -> list[str]:
    """A secret in the ways that libraries put one into their words."""
    return [
        secret,
        f"cannot connect to postgresql://user:{quote(secret, safe='')}@db:5432/ticks",
        f"GET https://example.org/hook/{quote(secret)}?key={secret} failed",
        f"Authorization: Basic {base64.b64encode(f'user:{secret}'.encode()).decode()}",
        base64.b64encode(f"xy{secret}".encode()).decode(),
        secret.encode().hex(),
        msgspec.json.encode({"body": secret}).decode(),
        repr({"body": secret}),
        f"...{secret[5:17]}...",
        secret[:9],
        secret[-10:],
    ]


def telemetry_of(out: io.BytesIO, settings: LogSettings = DEBUG) -> Telemetry:
    return Telemetry(HostClock(), settings, out=out, secrets=[Secret(one) for one in HUNDRED])


def test_the_search_finds_what_is_hidden_in_every_way() -> None:
    for secret in HUNDRED[:5] + HUNDRED[-5:]:
        for text in wrapped(secret):
            assert SEARCH.found(f"before {text} after") == {secret}, text
            assert SEARCH.found(f"before {text} after".encode()) == {secret}, text
    assert SEARCH.found("a lossless join of hyperliquid/trades/BTC " * 100) == set()


def test_no_way_of_writing_a_secret_passes_the_mask() -> None:
    clean = Redactor([Secret(one) for one in HUNDRED]).clean
    leaks = [text for one in HUNDRED for text in wrapped(one) if SEARCH.found(clean(f"before {text} after"))]
    assert leaks == []


@pytest.mark.parametrize("settings", [DEBUG, CONSOLE], ids=["json", "console"])
def test_no_fact_lets_a_canary_into_the_log_or_the_metrics_of_errors(settings: LogSettings) -> None:
    out = io.BytesIO()
    telemetry = telemetry_of(out, settings)
    texts = [text for secret in HUNDRED[::9] for text in wrapped(secret)]
    for fact in FACTS.values():
        if fact.level is None:
            continue
        for text in texts:
            values = [sample(fact, name) for name in fact.fields]
            free = [text if isinstance(v, str) and n in FREE else v for n, v in zip(fact.fields, values, strict=True)]
            free = [ValueError(text) if isinstance(v, BaseException) else v for v in free]
            getattr(telemetry, fact.name)(*free)
    assert len(out.getvalue()) > 10_000
    assert SEARCH.found(out.getvalue()) == set()
    assert SEARCH.found(telemetry.exposition()) == set()


# Fields of free text. All others are words of ours; they are masked in lines all the same, and become labels.
FREE = {"detail", "text", "url", "path", "value", "why", "places", "who", "reason_text", "subject", "source"}


def test_a_librarys_own_log_passes_the_mask_at_every_level() -> None:
    out = io.BytesIO()
    handler = ForeignLog(telemetry_of(out))
    logger = logging.getLogger("a.library")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # a test runner's own handler fails on a bad format
    try:
        for number, secret in enumerate(HUNDRED):
            for place, text in enumerate(wrapped(secret)):
                said = logging.getLogger(f"a.library.{number}.{place}")
                said.debug("connecting to %s", text)
                said.warning("bad format %d", text)
                try:
                    raise ConnectionError(text)
                except ConnectionError:
                    said.exception("failed")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert out.getvalue().count(b"ConnectionError") > 100
    assert SEARCH.found(out.getvalue()) == set()


def test_last_words_of_process_and_threads_pass_the_mask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    last_words.guard(Redactor([Secret(one) for one in HUNDRED]).clean)
    for secret in HUNDRED:
        for text in wrapped(secret)[:3]:
            try:
                try:
                    raise OSError(text)
                except OSError as error:
                    raise Fatal(f"gave up: {text}") from error
            except Fatal:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type] # an error is being handled here

    def die() -> None:
        raise ValueError(HUNDRED[0])

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    assert "gave up" in said
    assert "ValueError" in said
    assert SEARCH.found(said) == set()


def test_warnings_reach_the_log_and_pass_the_mask() -> None:
    out = io.BytesIO()
    handler = ForeignLog(telemetry_of(out))
    logging.getLogger("py.warnings").addHandler(handler)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn(f"deprecated: {HUNDRED[0]}", stacklevel=1)
    finally:
        logging.captureWarnings(False)
        logging.getLogger("py.warnings").removeHandler(handler)
    assert b"deprecated" in out.getvalue()
    assert SEARCH.found(out.getvalue()) == set()


def test_no_canary_reaches_an_alert_its_memory_or_the_log_about_it(tmp_path: Path) -> None:
    out = io.BytesIO()
    telemetry = telemetry_of(out)
    inbox, clock = Inbox(), HostClock()
    telemetry.listen(inbox.hear)
    reasons = tuple(
        Reason(Status.DEGRADED, f"code{n}", f"part {n} {HUNDRED[n]}", wrapped(HUNDRED[n])[1], 0, wrapped(HUNDRED[n])[4])
        for n in range(40)
    )

    async def run() -> None:
        http = GuardedHttp()
        clean = telemetry.redactor.clean
        channels = {
            # The canary belongs in the address and in the signature's key, and nowhere else.
            "discord": notify.Discord(http, Secret(f"{taker.url}/{HUNDRED[0]}"), clock, clean),
            "webhook": notify.Webhook(http, Secret(f"{failing.url}/{HUNDRED[1]}"), Secret(HUNDRED[2]), clock, clean),
            "telegram": notify.Telegram(http, "http://127.0.0.1:9", Secret(HUNDRED[3]), "1", clock, clean),
        }
        inputs = Inputs(inbox, lambda: Health(Status.DEGRADED, reasons), lambda: Room(1, 100), str(tmp_path))
        alerts = Alerts(
            inputs, lambda: Memory(tmp_path / "alerts.sqlite"), channels, [], clock, HostIds(), telemetry, http.close
        )
        for secret in HUNDRED:
            for name in FACT_SIGNALS:
                fact = FACTS[name]
                values = [sample(fact, field) for field in fact.fields]
                texts = [wrapped(secret)[1] if isinstance(value, str) else value for value in values]
                texts = [RuntimeError(secret) if isinstance(value, BaseException) else value for value in texts]
                inbox.hear(name, dict(zip(fact.fields, texts, strict=True)))
        alerts.look()
        for channel in channels:
            for _ in range(200):
                if not await alerts.deliver(channel):
                    break
        await http.close()
        assert alerts._memory is not None
        alerts._memory.close()

    with http_taker() as taker, http_taker() as failing:
        failing.answers = [(500, {}, " ".join(HUNDRED).encode())]
        asyncio.run(run())
    assert len(taker.asked) >= 20
    for asked in (*taker.asked, *failing.asked):
        assert SEARCH.found(asked.body) == set()
        headers = {name: value for name, value in asked.headers.items() if name != notify.SIGNATURE}
        assert SEARCH.found(repr(headers)) == set()
    assert SEARCH.found(out.getvalue()) == set()
    for path in tmp_path.iterdir():
        assert SEARCH.found(path.read_bytes()) == set(), path.name


def test_no_setting_of_a_secret_kind_is_shown_however_it_is_given(tmp_path: Path) -> None:
    secrets = [setting for setting in walk() if setting.is_secret]
    assert len(secrets) >= 7
    for index, setting in enumerate(secrets):
        for number, canary in enumerate(HUNDRED[index :: len(secrets)]):
            text = _fitting(setting.base, canary) if number % 2 else f"%%://{canary}"  # a good one, and a broken one
            file = tmp_path / "secret"
            file.write_text(text)
            given = {setting.env: text} if number % 3 else {f"{setting.env}_FILE": str(file)}
            if number % 5 == 0:  # beside a name that is mistyped
                given |= {setting.env + "X": canary}
            found = examine(str(_empty(tmp_path)), given)
            said = f"{found.shown} {[str(fault) for fault in found.faults]} {found.settings!r} {found.settings}"
            assert SEARCH.found(said) == set(), f"{setting.path} given by {list(given)}"


def _fitting(kind: object, canary: str) -> str:
    address = f"https://user:{canary}@example.org/ticks?password={quote(canary, safe='')}"
    return address if kind is SecretUrl else canary


def _empty(folder: Path) -> Path:
    path = folder / "everytick.toml"
    path.write_text("")
    return path


def test_an_error_of_ours_shows_no_canary_that_it_was_made_with() -> None:
    clean = Redactor([Secret(one) for one in HUNDRED]).clean
    for secret in HUNDRED:
        for error in (Refused(secret, path=secret, value=secret, suggestion=secret), Retryable(secret), Fatal(secret)):
            assert SEARCH.found(clean(f"{error} {error!r}")) == set()
