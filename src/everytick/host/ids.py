"""The machine's dice."""

from __future__ import annotations

import random
import secrets


class HostIds:
    """A ports.Ids fed by the operating system."""

    def token(self, byte_count: int) -> bytes:
        """That many unguessable bytes."""
        return secrets.token_bytes(byte_count)

    def jitter(self) -> float:
        """A number in [0, 1), to spread retries; not for secrets."""
        return random.random()
