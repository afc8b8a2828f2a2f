"""`everytick alerts` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from everytick.cli import main
from everytick.cli.exits import Exit
from tests.serve.loopback import http_taker


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DISCORD_WEBHOOK_URL", "EVERYTICK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "everytick.toml"
    path.write_text(f'[data]\ndir = "{tmp_path / "data"}"\n')
    return path


def run(config: Path, *words: str) -> int:
    return main(["alerts", *words, "--config", str(config)])


def test_a_mute_is_listed_and_can_be_taken_away(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "mute", "gap:v/trades/BTC", "--for", "2h") == Exit.OK
    assert run(config, "list") == Exit.OK
    assert "gap:v/trades/BTC" in capsys.readouterr().out
    assert run(config, "unmute", "gap:v/trades/BTC") == Exit.OK
    assert run(config, "unmute", "gap:v/trades/BTC") == Exit.NO
    capsys.readouterr()
    assert run(config, "list", "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"open": [], "waiting": [], "mutes": []}


def test_a_mute_of_no_rule_is_refused_with_the_nearest(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "mute", "gapp") == Exit.REFUSED
    assert "did you mean gap?" in capsys.readouterr().err


def test_a_test_without_channels_says_what_to_set(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "test") == Exit.REFUSED
    assert "alerts.discord_webhook_url" in capsys.readouterr().err


def test_a_test_tries_every_channel_and_names_the_one_that_fails(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with http_taker() as good, http_taker() as bad:
        bad.answers = [(401, {}, b"")]
        config.write_text(
            f'{config.read_text()}[alerts]\ndiscord_webhook_url = "{good.url}/canary-7f3a9d"\n'
            f'webhook_url = "{bad.url}/canary-7f3a9d"\n'
        )
        assert run(config, "test", "--json") == Exit.NO
    out = capsys.readouterr().out
    assert "canary" not in out
    answers = json.loads(out)
    assert answers["discord"] == ""
    assert "401" in answers["webhook"]
    assert len(good.asked) == 1
