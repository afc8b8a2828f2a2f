"""How much room a folder's disk has."""

from __future__ import annotations

import shutil
from pathlib import Path


def room_of(folder: Path) -> tuple[int, int]:
    """Free bytes for this user, and the disk's size. Raises OSError."""
    found = shutil.disk_usage(folder)
    return found.free, found.total
