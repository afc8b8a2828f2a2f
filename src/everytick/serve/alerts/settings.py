"""Settings of the alerts: where they go. What is worth an alert is the table in `rules`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from everytick.model.secret import Secret, SecretUrl

Channel = Literal["discord", "telegram", "webhook", "mail"]
Mailbox = Annotated[str, Meta(pattern=r"^[^@\s<>,]+@[^@\s<>,]+\Z", max_length=254, examples=["ops@example.org"])]


class AlertSettings(msgspec.Struct, frozen=True):
    """Where alerts go. A critical one goes to every channel, any other to the first that takes it."""

    channels: Annotated[
        tuple[Channel, ...],
        Meta(max_length=4, description="The order in which channels are tried; those without an address are left out."),
    ] = ("discord", "telegram", "webhook", "mail")
    discord_webhook_url: Annotated[
        Secret, Meta(description="Discord webhook that gets the alerts. Empty: none are sent there.")
    ] = Secret("")
    telegram_token: Annotated[
        Secret, Meta(description="Token of the Telegram bot that sends the alerts. Empty: none are sent there.")
    ] = Secret("")
    telegram_chat: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^(-?[0-9]+|@[A-Za-z0-9_]+)?\Z",
            examples=["-1001234567890"],
            description="The chat that gets them: its number, or `@name` of a channel.",
        ),
    ] = ""
    telegram_url: Annotated[
        str,
        Meta(
            max_length=200, pattern=r"^https?://[^\s@]+\Z", description="The Bot API's address, or a server of yours."
        ),
    ] = "https://api.telegram.org"
    webhook_url: Annotated[Secret, Meta(description="Gets every alert as JSON. Empty: none are sent there.")] = Secret(
        ""
    )
    webhook_key: Annotated[
        Secret,
        Meta(description="Signs webhook requests, in `X-Everytick-Signature`: HMAC-SHA256 of `timestamp.body`."),
    ] = Secret("")
    mail_url: Annotated[
        SecretUrl,
        Meta(description="`smtps://host:465` or `smtp://host:587` (STARTTLS), with user and password before `@`."),
    ] = SecretUrl("")
    mail_from: Annotated[str, Meta(max_length=254, description="The sender's address; needed for mail.")] = ""
    mail_to: Annotated[tuple[Mailbox, ...], Meta(max_length=20, description="The recipients; needed for mail.")] = ()
    dead_man_url: Annotated[
        Secret,
        Meta(
            description="Asked once a minute while all is well: an outside service that misses it tells you "
            "that this process, its machine or its alerts are gone."
        ),
    ] = Secret("")
    allow_private: Annotated[
        bool, Meta(description="Webhooks may lead into private networks. Link-local addresses are never asked.")
    ] = False
