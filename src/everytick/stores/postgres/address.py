"""From `postgresql://...` to what the client library takes, and to a place that may be printed."""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from everytick.errors import Refused
from everytick.model.secret import MASK, redact

SETTING = "store.url"
EXAMPLE = "write postgresql://user:password@host:5432/database; special characters of a password as %40 for @"

# A host that is gone sends nothing, not even a refusal. These find it out within ten seconds; the server is told
# the same of us, so that a writer's lock outlives its machine no longer than that.
ALIVE_IDLE_S, ALIVE_INTERVAL_S, ALIVE_COUNT = 5, 1, 3
CONNECT_S = 5

_OURS: Final = MappingProxyType(
    {
        "connect_timeout": str(CONNECT_S),
        "keepalives": "1",
        "keepalives_idle": str(ALIVE_IDLE_S),
        "keepalives_interval": str(ALIVE_INTERVAL_S),
        "keepalives_count": str(ALIVE_COUNT),
        "tcp_user_timeout": str((ALIVE_IDLE_S + ALIVE_INTERVAL_S * ALIVE_COUNT) * 1_000),
    }
)


class Address:
    """Where a store is. `place` is for people; the parameters hold the password and are never printed."""

    def __init__(self, url: str) -> None:
        """Raises Refused, without a word of the address: its broken part may be the password."""
        given: dict[str, str] = {}
        with suppress(psycopg.ProgrammingError):
            given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
        # Raised here, since the library's error quotes the address and must not come along as a cause.
        if not given:
            raise Refused("not an address that PostgreSQL understands", path=SETTING, suggestion=EXAMPLE)
        self.parameters = {**_OURS, **given, "client_encoding": "UTF8"}
        host, port = given.get("host", given.get("hostaddr", "")), given.get("port", "")
        where = host + (f":{port}" if port else "") or "the local server"
        self.database = given.get("dbname", given.get("user", ""))
        self.place = redact(f"{where}/{self.database}" if self.database else where)
        self._secrets = [given[name] for name in ("password", "sslpassword", "passfile") if given.get(name)]

    def clean(self, error: BaseException) -> str:
        """What the server or the library said, on one line, without our secrets."""
        text = " ".join(str(error).split())
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact(text)

    def __repr__(self) -> str:
        return f"Address({self.place})"
