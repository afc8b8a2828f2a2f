"""Hunt one mutant: `python -m tests.mutants.hunt NAME` runs seeds against it until one of them breaks.

In an interpreter of its own, since the mutant takes the place of the product's module. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time

from tests.mutants.patch import install
from tests.mutants.table import MUTANTS


def hunt(name: str, seeds: int, hours: float) -> dict[str, object]:
    """Which seed and invariant caught it; `seed` 0 if none did."""
    if name != "none":
        install(next(mutant for mutant in MUTANTS if mutant.name == name))
    simulate = importlib.import_module("everytick.sim.simulate")
    swarm = importlib.import_module("everytick.sim.swarm")
    began = time.monotonic()
    for seed in range(1, seeds + 1):
        outcome = simulate.run_seed(swarm.draw(seed, hours))
        if outcome.broken:
            took_s = round(time.monotonic() - began, 1)
            return {
                "name": name,
                "seed": seed,
                "by": outcome.broken,
                "detail": outcome.detail[:200],
                "took_s": took_s,
            }
    return {"name": name, "seed": 0, "by": "", "detail": "", "took_s": round(time.monotonic() - began, 1)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--hours", type=float, default=0.25)
    chosen = parser.parse_args()
    print(json.dumps(hunt(chosen.name, chosen.seeds, chosen.hours)))


if __name__ == "__main__":
    main()
