"""Settings of the alerts: what cannot work is refused at the start, with its path and without its secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from everytick import config

CANARY = "canary-7f3a9d"
BROKEN = {
    "telegram without a chat": ({"TELEGRAM_TOKEN": f"1:{CANARY}"}, "alerts.telegram_chat"),
    "a key without a webhook": ({"WEBHOOK_KEY": CANARY}, "alerts.webhook_url"),
    "a webhook in the clear": ({"WEBHOOK_URL": f"http://example.org/{CANARY}"}, "alerts.webhook_url"),
    "a webhook that is a file": ({"WEBHOOK_URL": f"file:///etc/{CANARY}"}, "alerts.webhook_url"),
    "a switch in the clear": ({"DEAD_MAN_URL": f"http://example.org/{CANARY}"}, "alerts.dead_man_url"),
    "mail without a recipient": ({"MAIL_URL": f"smtps://u:{CANARY}@h", "MAIL_FROM": "a@b.c"}, "alerts.mail_to"),
    "mail without a sender": ({"MAIL_URL": f"smtps://u:{CANARY}@h", "MAIL_TO": "a@b.c"}, "alerts.mail_from"),
    "mail by another way": (
        {"MAIL_URL": f"https://{CANARY}@h", "MAIL_FROM": "a@b.c", "MAIL_TO": "a@b.c"},
        "alerts.mail_url",
    ),
    "a recipient with a line end": ({"MAIL_TO": "a@b.c\nBcc: x@y.z"}, "alerts.mail_to[0]"),
    "an unknown channel": ({"CHANNELS": "discord,pager"}, "alerts.channels[1]"),
}


def examined(folder: Path, given: dict[str, str]) -> config.Examined:
    empty = folder / "everytick.toml"
    empty.write_text("")
    return config.examine(str(empty), {f"EVERYTICK_ALERTS__{name}": value for name, value in given.items()})


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_work_is_named_by_its_path_and_not_by_its_secret(name: str, tmp_path: Path) -> None:
    given, path = BROKEN[name]
    found = examined(tmp_path, given)
    assert [fault.path for fault in found.faults] == [path]
    assert CANARY not in f"{found.faults} {found.shown} {found.settings}"


def test_a_loopback_webhook_may_be_in_the_clear(tmp_path: Path) -> None:
    assert examined(tmp_path, {"WEBHOOK_URL": "http://127.0.0.1:8080/hook"}).faults == ()
