"""A secret does not print, whatever prints it."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.model.secret import MASK, Secret, SecretUrl, encode_secret, redact

CANARY = "canary-7f3a9d"


class Holder(msgspec.Struct):
    token: Secret


def test_no_way_of_printing_shows_the_text() -> None:
    secret = Secret(CANARY)
    ways = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        "%s %r" % (secret, secret),  # noqa: UP031 - the old way of formatting is one of the ways
        "{0:<9}".format(secret),  # noqa: UP032, UP030 - and so is this one
        repr(Holder(secret)),
        repr([secret]),
        str({"token": secret}),
        msgspec.json.encode(Holder(secret), enc_hook=encode_secret).decode(),
    ]
    assert all(CANARY not in way for way in ways)
    assert all(MASK in way for way in ways)


def test_an_encoder_that_was_not_told_refuses() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Holder(Secret(CANARY)))
    with pytest.raises(TypeError):
        json.dumps({"token": Secret(CANARY)})


def test_a_secret_never_leaves_by_pickle() -> None:
    with pytest.raises(TypeError, match="not copied out") as refused:
        pickle.dumps(Secret(CANARY))
    assert CANARY not in str(refused.value)


def test_only_reveal_gives_the_text_and_copies_keep_it() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert copy.deepcopy(Holder(secret)).token.reveal() == CANARY


def test_secrets_compare_by_their_text_and_only_with_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("ä") != Secret("a")


def test_an_empty_secret_is_not_set_and_shows_nothing() -> None:
    assert not Secret("")
    assert Secret("").shown() == ""


def test_an_address_shows_all_but_its_password() -> None:
    url = SecretUrl(f"postgresql://user:{CANARY}@db.example/ticks")
    assert str(url) == f"{url}" == url.shown() == "postgresql://***@db.example/ticks"
    assert CANARY not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: basic {CANARY}==",
        f"cannot reach postgres://everytick:{CANARY}@db/ticks",
        f"https://{CANARY}@host/path",
        f"https://discord.com/api/webhooks/123/{CANARY}",
        f"https://discordapp.com/api/v10/webhooks/123/{CANARY}?wait=true",
        f"https://hooks.slack.com/services/T0/B0/{CANARY}",
        f"https://api.telegram.org/bot123:{CANARY}/sendMessage",
        f"host=db password={CANARY} dbname=x",
        f'{{"api_key": "{CANARY}"}}',
        f"https://host/?token={CANARY}&limit=1",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{CANARY}",
    ],
)
def test_text_of_a_secrets_shape_is_masked(text: str) -> None:
    assert CANARY not in redact(text)
    assert MASK in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "hyperliquid/trades/BTC",
        "wss://api.hyperliquid.xyz/ws",
        "lossless: 30 trades shared",
        "the disk is full: no room for the tape at 00000000000000000000.tape",
        "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
        "tokens are compared in constant time",
    ],
)
def test_ordinary_text_is_untouched(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
