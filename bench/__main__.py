"""`python -m bench [--only name] [--json]`: run the measurements, print one table, write one file."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
from pathlib import Path

from bench.children import ROOT
from bench.report import Row, show, write

RESULTS = ROOT / "bench" / "results"
NAMES = ("tape", "store", "postgres", "latency", "memory", "api", "decode", "blocks")


def main() -> int:
    """0 if every measurement ran and every goal is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=NAMES, action="append", help="run this one (may be repeated)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of the table")
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    # Beside the results, so that every file that must be durable lies on the same real disk.
    work = Path(tempfile.mkdtemp(prefix="work-", dir=RESULTS))
    rows: list[Row] = []
    failures: list[str] = []
    try:
        for name in options.only or NAMES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measure = importlib.import_module(f"bench.measures.{name}")
            try:
                rows += measure.run(work)
            except (RuntimeError, OSError) as error:
                failures.append(f"{name}: {error}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = write(rows, RESULTS / "latest.json")
    if options.json:
        print(text)
    else:
        show(rows)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    missed = [f"{row.name}: {row.ratio:.2f}× of {row.goal:g}×" for row in rows if not row.is_met]
    for line in missed:
        print(f"goal missed: {line}", file=sys.stderr)
    return 1 if failures or missed else 0


if __name__ == "__main__":
    sys.exit(main())
