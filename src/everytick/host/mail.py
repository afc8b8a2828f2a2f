"""A ports.Notifier that sends e-mail by SMTP, on a thread, with a time limit on every step."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from everytick.errors import Refused, Retryable
from everytick.model.alert import Message
from everytick.model.secret import Secret

TIMEOUT_S = 10.0  # of each step; a greylisting server takes its time
PORTS = {"smtp": 587, "smtps": 465}
SUBJECT_MAX = 200


class Mail:
    """One mailbox or more, by way of `smtp[s]://user:password@host:port`.

    `smtp` turns to TLS (STARTTLS) before anything is said, unless the host is this machine and offers none.
    """

    def __init__(
        self,
        url: Secret,
        sender: str,
        recipients: Sequence[str],
        body_of: Callable[[Message], str],
        clean: Callable[[str], str],
    ) -> None:
        self._url, self._sender, self._recipients = url, sender, tuple(recipients)
        self._body_of, self._clean = body_of, clean

    async def notify(self, message: Message) -> None:
        """Hand one mail to the server. Raises Retryable, or Refused when the server refuses us for good."""
        mail = self._mail(message)
        try:
            await asyncio.to_thread(self._send, mail)
        except smtplib.SMTPAuthenticationError:
            raise Refused("the mail server does not know this user and password") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            family = Refused if min(codes) >= 500 else Retryable
            raise family(f"the mail server took none of alerts.mail_to, with {codes}") from None
        except smtplib.SMTPResponseException as error:
            # Of the server's own words only the code: they may hold what we said.
            other = Refused if error.smtp_code >= 500 else Retryable
            raise other(f"the mail server answered {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise Retryable(self._clean(f"mail: {type(error).__name__}: {error}")) from None

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        subject = self._clean(f"[everytick] {message.severity.value}: {message.title}")
        # A line end in a header would begin another header.
        mail["Subject"] = " ".join(subject.split())[:SUBJECT_MAX]
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients)
        mail["Message-ID"] = f"<{message.id}@everytick>"
        mail.set_content(self._clean(self._body_of(message)))
        return mail

    def _send(self, mail: EmailMessage) -> None:
        parts = urlsplit(self._url.reveal())
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 587)
        context = ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        with server:
            server.ehlo()
            if parts.scheme != "smtps" and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif parts.scheme != "smtps" and host not in ("127.0.0.1", "::1", "localhost"):
                raise smtplib.SMTPNotSupportedError("the server offers no TLS")
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)
