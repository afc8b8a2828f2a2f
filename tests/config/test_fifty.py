"""Fifty broken configurations, made by dice from a catalogue of mistakes: every fault of each is named, all at once."""

from __future__ import annotations

import io
import json
import random
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from everytick.cli import main

# (section, line, path that must be named, what the value must look like in the message, is a way out given)
MISTAKES = (
    ("serve", "port = 84200", "serve.port", "84200"),
    ("serve", 'port = "eighty"', "serve.port", "eighty"),
    ("serve", "prot = 1", "serve.prot", ""),
    ("tape", "zstd_level = 99", "tape.zstd_level", "99"),
    ("tape", "segment_bytes_max = -5", "tape.segment_bytes_max", "-5"),
    ("tape", "blok_bytes_max = 3", "tape.blok_bytes_max", ""),
    ("log", 'level = "loud"', "log.level", "loud"),
    ("log", "level = 3", "log.level", "3"),
    ("log", 'formt = "json"', "log.formt", ""),
    ("data", 'dir = ""', "data.dir", '""'),
    ("data", "dir = 7", "data.dir", "7"),
    ("trading", 'enabled = "maybe"', "trading.enabled", "maybe"),
    ("venues.hyperliquid", 'coins = ["BTC", ""]', "venues.hyperliquid.coins[1]", '""'),
    ("venues.hyperliquid", 'coins = "B T C"', "venues.hyperliquid.coins", "B T C"),
    ("venues.hyperliquid", 'streams = ["trade"]', "venues.hyperliquid.streams[0]", "trade"),
    ("venues.hyperliquid", 'candle_intervals = ["7m"]', "venues.hyperliquid.candle_intervals[0]", "7m"),
    ("venues.hyperliquid", 'ws_url = "http://x"', "venues.hyperliquid.ws_url", "http://x"),
    ("venues.hyperliquid", 'symbol = "BTC"', "venues.hyperliquid.symbol", ""),
    ("venues.binanse", "enabled = true", "venues.binanse", ""),
    ("stor", 'url = "x"', "stor", ""),
)


def broken(seed: int) -> tuple[str, dict[str, str]]:
    """A TOML file and what must be named: path -> part of the value as shown."""
    dice = random.Random(seed)
    chosen: dict[tuple[str, str], tuple[str, str, str]] = {}
    for section, line, path, shown in dice.sample(MISTAKES, dice.randint(1, 7)):
        chosen.setdefault((section, line.split(" = ")[0]), (line, path, shown))
    sections: dict[str, list[str]] = defaultdict(list)
    for (section, _), (line, _, _) in chosen.items():
        sections[section].append(line)
    text = "".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())
    return text, {path: shown for _, path, shown in chosen.values()}


@pytest.mark.parametrize("seed", range(50))
def test_every_fault_of_a_broken_configuration_is_named_with_its_value_and_a_way_out(seed: int, tmp_path: Path) -> None:
    text, expected = broken(seed)
    file = tmp_path / "everytick.toml"
    file.write_text(text)
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["config", "check", "--config", str(file), "--json"]) == 2
    faults = {fault["path"]: fault for fault in json.loads(out.getvalue())["faults"]}
    assert set(faults) >= set(expected)
    for path, shown in expected.items():
        fault = faults[path]
        assert shown in fault["value"]
        assert fault["origin"].startswith(str(file)) or fault["origin"].startswith(file.name)
        # The bound or the right form stands in the problem; a name that is near stands in the suggestion.
        assert "expected" in fault["problem"] or fault["suggestion"], fault
