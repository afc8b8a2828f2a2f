"""`python -m everytick` is `everytick`."""

from __future__ import annotations

import sys

from everytick.cli import main

if __name__ == "__main__":
    sys.exit(main())
