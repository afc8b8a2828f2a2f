"""The alerts put together: channels from the settings, the memory in the data folder, what they listen to and watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from everytick.config import Settings
from everytick.errors import Retryable
from everytick.host.guarded import GuardedHttp
from everytick.host.mail import Mail
from everytick.host.room import room_of
from everytick.model.alert import Signal
from everytick.model.secret import Secret
from everytick.ports import Clock, Http, Notifier
from everytick.serve import notify
from everytick.serve.alerts.engine import Alerts, Inputs, Ping
from everytick.serve.alerts.inbox import Inbox
from everytick.serve.alerts.memory import FILE_NAME, Memory
from everytick.serve.alerts.signals import Room, of_gap
from everytick.stores.protocol import Reader
from everytick.supervise.health import Health
from everytick.telemetry import Telemetry
from everytick.wiring.parts import Ports

DEAD_MAN_S = 60.0  # an outside service that waits for three of them notices within three minutes
SELF_PING_S = 600.0  # hosts that put idle services to sleep do so after fifteen minutes
GAPS_MAX = 1_000  # newest gaps on record that are compared at a start


def alerts_of(
    settings: Settings,
    ports: Ports,
    telemetry: Telemetry,
    health: Callable[[], Health],
    reader: Callable[[], Reader],
) -> Alerts:
    """The alerts of a recording process, listening from now on. `reader` raises Retryable while there is no store."""
    folder = settings.data.dir
    inbox = Inbox()
    telemetry.listen(inbox.hear)
    http = GuardedHttp(allow_private=settings.alerts.allow_private)
    clean = telemetry.redactor.clean
    return Alerts(
        Inputs(inbox, health, lambda: Room(*room_of(Path(folder))), folder, lambda since: _gaps(reader, since)),
        lambda: memory_of(settings),
        channels_of(settings, http, ports.clock, clean),
        pings_of(settings, http, clean),
        ports.clock,
        ports.ids,
        telemetry,
        http.close,
    )


def memory_of(settings: Settings) -> Memory:
    """The alerts' memory of a data folder. Raises Retryable when it cannot be used."""
    folder = Path(settings.data.dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Retryable(f"{folder}: {error.strerror}") from error
    return Memory(folder / FILE_NAME)


def channels_of(settings: Settings, http: Http, clock: Clock, clean: Callable[[str], str]) -> dict[str, Notifier]:
    """The channels that have an address, in the order of the settings."""
    given = settings.alerts
    found: dict[str, Notifier] = {}
    for name in given.channels:
        if name == "discord" and given.discord_webhook_url:
            found[name] = notify.Discord(http, given.discord_webhook_url, clock, clean)
        elif name == "telegram" and given.telegram_token:
            found[name] = notify.Telegram(
                http, given.telegram_url, given.telegram_token, given.telegram_chat, clock, clean
            )
        elif name == "webhook" and given.webhook_url:
            found[name] = notify.Webhook(http, given.webhook_url, given.webhook_key, clock, clean)
        elif name == "mail" and given.mail_url:
            found[name] = Mail(given.mail_url, given.mail_from, given.mail_to, notify.body_of, clean)
    return found


def pings_of(settings: Settings, http: Http, clean: Callable[[str], str]) -> list[Ping]:
    """The dead man's switch, and the call to our own public address that keeps a sleepy host awake."""
    pings = []
    dead_man = settings.alerts.dead_man_url
    if dead_man:
        ping = partial(notify.ping, http, dead_man, "the dead man's switch", clean)
        pings.append(Ping("dead_man", DEAD_MAN_S, ping, only_well=True))
    if settings.health.external_url:
        # Any answer keeps the host awake: what it says about our health is told elsewhere.
        url = Secret(settings.health.external_url.rstrip("/") + "/health")
        ping = partial(notify.ping, http, url, "our own address", clean, is_any=True)
        pings.append(Ping("self", SELF_PING_S, ping, only_well=False))
    return pings


def _gaps(reader: Callable[[], Reader], since_ns: int) -> Sequence[Signal]:
    asking = reader()
    try:
        return [
            of_gap(gap.stream.key, gap.kind.value, gap.cause, gap.from_ns, gap.to_ns, gap.offset)
            for gap in asking.gaps(list(asking.streams()), open_only=True, limit=GAPS_MAX)
            if gap.ts_recv_ns >= since_ns
        ]
    finally:
        asking.close()
