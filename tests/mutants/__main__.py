"""`python -m tests.mutants` (or `make mutants`): hunt every mutant, and print the score.

Exit code 1 below the score that is asked for, and where a run without any mutant breaks: then the harness lies.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.table import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
SCORE_MIN = 95.0


def hunt(name: str, seeds: int, hours: float) -> dict[str, object]:
    """One mutant in an interpreter of its own."""
    command = [sys.executable, "-m", "tests.mutants.hunt", name, "--seeds", str(seeds), "--hours", str(hours)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        # A mutant that cannot even be run is caught by anyone who starts it.
        last = done.stderr.strip().splitlines()[-1:] or [""]
        return {"name": name, "seed": -1, "by": "does not run", "detail": last[0], "took_s": 0.0}
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--hours", type=float, default=0.25)
    parser.add_argument("--only", default="", help="names, comma-separated")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(words)
    names = [one.name for one in MUTANTS if not chosen.only or one.name in chosen.only.split(",")]
    breaks = {one.name: one.breaks for one in MUTANTS}
    if not chosen.only:
        control = hunt("none", chosen.seeds, chosen.hours)
        if control["seed"]:
            print(f"the product itself breaks {control['by']} at seed {control['seed']}: {control['detail']}")
            print(f"mend that first: everytick simulate --seed {control['seed']} --hours {chosen.hours:g}")
            return 1
    found = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for one in pool.map(lambda name: hunt(name, chosen.seeds, chosen.hours), names):
            found.append(one)
            verdict = f"caught by {one['by']} at seed {one['seed']}" if one["seed"] else "NOT CAUGHT"
            if not chosen.json:
                print(f"{one['name']:<32} {verdict:<36} {breaks[str(one['name'])]}", flush=True)
    caught = sum(1 for one in found if one["seed"])
    unfit = [one for one in found if one["seed"] == -1]
    score = round(100 * caught / len(found), 1) if found else 0.0
    if chosen.json:
        print(json.dumps({"mutants": found, "caught": caught, "of": len(found), "score": score}, indent=1))
    else:
        for one in unfit:
            print(f"{one['name']} did not run: {one['detail']}")
        print(f"{caught} of {len(found)} mutants caught: {score} %")
    return 0 if score >= SCORE_MIN and not unfit else 1


if __name__ == "__main__":
    sys.exit(main())
