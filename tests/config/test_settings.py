"""Files and environment become settings, or one list of everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick import config
from everytick.config import describe
from everytick.config.fields import Setting, walk
from everytick.config.settings import PLAIN_NAMES
from everytick.errors import Refused
from everytick.model.stream import Kind

CANARY = "canary-7f3a9d-canary"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no everytick.toml of somebody's own


def written(text: str, name: str = "everytick.toml") -> str:
    Path(name).write_text(text)
    return name


def faults(text: str = "", **environ: str) -> list[config.Fault]:
    return list(config.examine(written(text, "other.toml"), environ).faults)


def test_without_file_and_environment_everything_is_default() -> None:
    found = config.load(environ={})
    assert found.settings == config.Settings()
    assert {shown.origin for shown in found.shown} == {"default"}
    assert found.source == ""


def test_the_file_in_the_current_folder_is_found_by_itself() -> None:
    written("[serve]\nport = 9000\n")
    found = config.load(environ={})
    assert found.settings.serve.port == 9000
    assert {s.path: s.origin for s in found.shown}["serve.port"] == "everytick.toml:2"


def test_the_command_line_names_the_file_before_the_environment_does() -> None:
    written("[serve]\nport = 1111\n", "a.toml")
    written("[serve]\nport = 2222\n", "b.toml")
    environ = {"EVERYTICK_CONFIG": "a.toml"}
    assert config.load(None, environ).settings.serve.port == 1111
    assert config.load("b.toml", environ).settings.serve.port == 2222


def test_each_layer_stands_over_the_one_below() -> None:
    written('[health]\nexternal_url = "https://file"\n')
    plain = {"RENDER_EXTERNAL_URL": "https://plain"}
    ours = {"EVERYTICK_HEALTH__EXTERNAL_URL": "https://ours"}
    assert config.load(environ={}).settings.health.external_url == "https://file"
    assert config.load(environ=plain).settings.health.external_url == "https://plain"
    assert config.load(environ=plain | ours).settings.health.external_url == "https://ours"


def test_every_fault_is_told_at_once() -> None:
    text = (
        '[serve]\nhost = "0.0.0.0"\nport = 99999\ntokn = "x"\n'
        '[venues.hyperliquid]\ncoins = ["BTC", "", "BTC"]\nstreams = ["trades", "candels"]\n'
        '[tape]\nzstd_level = "high"\n[sreve]\nport = 1\n'
    )
    found = {f.path: f for f in faults(text, EVERYTICK_LOG__LEVEL="loud", EVERYTICK_LOG__FROMAT="json")}
    assert set(found) == {
        "serve.tokn",
        "serve.port",
        "serve.token",
        "venues.hyperliquid.coins[1]",
        "venues.hyperliquid.coins[2]",
        "venues.hyperliquid.streams[1]",
        "tape.zstd_level",
        "sreve",
        "log.level",
        "EVERYTICK_LOG__FROMAT",
    }
    assert str(found["serve.port"]) == "serve.port = 99999 [other.toml:3]: expected an integer from 0 to 65,535"
    assert found["serve.tokn"].suggestion == "did you mean token?"
    assert found["sreve"].suggestion == "did you mean serve?"
    assert found["venues.hyperliquid.streams[1]"].suggestion == "did you mean candles?"
    assert found["EVERYTICK_LOG__FROMAT"].suggestion == "did you mean EVERYTICK_LOG__FORMAT?"


def test_load_refuses_with_all_faults_in_one_message() -> None:
    written('[serve]\nport = -1\n[log]\nlevel = "loud"\n')
    with pytest.raises(config.BadSettings) as refused:
        config.load(environ={})
    assert len(refused.value.faults) == 2
    assert "serve.port" in str(refused.value)
    assert "log.level" in str(refused.value)


def test_a_key_in_the_wrong_section_is_sent_to_its_own() -> None:
    assert faults("[data]\nport = 1\n")[0].suggestion == "did you mean serve.port?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[serve\nport = 1", "not TOML"),
        ("serve = 3", "a section"),
        ("[serve]\nport = 1\n[serve]\nport = 2", "not TOML"),
        ("[serve]\nport = 8420.0", "an integer"),
        ("[serve]\nport = true", "an integer"),
        ("[serve]\nport = 2026-01-01", "an integer"),
        ("[serve]\nport = [1]", "an integer"),
        ("[data]\ndir = 5", "a text"),
        ("[venues.hyperliquid]\ncoins = 'BTC'", "a list"),
        ("[venues.hyperliquid]\nenabled = 1", "true or false"),
        ("[tape]\ncommit_interval_min_s = nan", "a number"),
        ("[tape]\ncommit_interval_min_s = inf", "a number"),
        ("[data.dir]\nx = 1", "a text"),
    ],
)
def test_a_wrong_form_is_named_and_nothing_raises(text: str, says: str) -> None:
    found = faults(text)
    assert found
    assert any(says in fault.problem for fault in found), found


@pytest.mark.parametrize("text", ["1_000", " 8420", "8420 ", "٨٤٢٠", "0x20e4", "8e3", "", "99999999999999999999"])
def test_only_plain_digits_are_an_integer(text: str) -> None:
    assert [f.path for f in faults(EVERYTICK_SERVE__PORT=text)] == ["serve.port"]


def test_a_file_that_cannot_be_read_is_a_fault_with_its_name() -> None:
    found = config.examine("nowhere.toml", {}).faults
    assert len(found) == 1
    assert "nowhere.toml" in found[0].problem
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in config.examine("binary.toml", {}).faults[0].problem
    Path("folder.toml").mkdir()
    assert config.examine("folder.toml", {}).faults


@pytest.mark.parametrize(
    ("text", "is_on", "is_odd"),
    [
        ("1", True, False),
        ("0", False, False),
        ("", False, False),
        ("false", False, False),
        ("OFF", False, False),
        ("no", False, False),
        ("true", False, True),
        ("yes", False, True),
        (" 1", False, True),
        ("1 ", False, True),
        ("01", False, True),
        ("2", False, True),
    ],
)
@pytest.mark.parametrize("name", ["TRADING_ENABLED", "EVERYTICK_TRADING__ENABLED"])
def test_the_kill_switch_is_on_for_exactly_one_value(name: str, text: str, is_on: bool, is_odd: bool) -> None:
    found = config.examine(environ={name: text})
    assert found.settings.trading.enabled is is_on
    assert bool(found.faults) is is_odd


@pytest.mark.parametrize(("host", "is_refused"), [("127.0.0.1", False), ("::1", False), ("localhost", False)])
def test_loopback_needs_no_token(host: str, is_refused: bool) -> None:
    assert bool(faults(EVERYTICK_SERVE__HOST=host)) is is_refused


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "localhost.example", "everytick.example"])
def test_an_open_address_needs_a_token_of_some_length(host: str) -> None:
    assert [f.path for f in faults(EVERYTICK_SERVE__HOST=host)] == ["serve.token"]
    assert [f.path for f in faults(EVERYTICK_SERVE__HOST=host, EVERYTICK_SERVE__TOKEN="short")] == ["serve.token"]
    assert not faults(EVERYTICK_SERVE__HOST=host, EVERYTICK_SERVE__TOKEN=CANARY)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"EVERYTICK_TAPE__BLOCK_BYTES_MAX": str(1 << 40)}, "tape.block_bytes_max"),
        ({"EVERYTICK_TAPE__BACKLOG_BYTES_MAX": "1"}, "tape.backlog_bytes_max"),
        ({"DATABASE_URL": "mongodb://x/y"}, "store.url"),
        ({"DATABASE_URL": "ticks.db"}, "store.url"),
        ({"DATABASE_URL": "sqlite://ticks.db"}, "store.url"),
        ({"DATABASE_URL": "postgresql:///"}, "store.url"),
        ({"DATABASE_URL": "postgres://u:p@host"}, "store.url"),
        ({"DATABASE_URL": "postgres://u:p@host:0/ticks"}, "store.url"),
        ({"DATABASE_URL": "postgres://u:p@host:port/ticks"}, "store.url"),
        ({"DATABASE_URL": "postgres://u:100%@host/ticks"}, "store.url"),
        ({"DATABASE_URL": "postgres://u:a#b@host/ticks"}, "store.url"),
        ({"EVERYTICK_STORE__STANDBY": "waits"}, "store.standby"),
        ({"EVERYTICK_VENUES__HYPERLIQUID__COINS": ""}, "venues.hyperliquid.coins"),
        ({"EVERYTICK_VENUES__HYPERLIQUID__COINS": ",".join(f"C{i}" for i in range(400))}, "venues.hyperliquid.coins"),
        ({"EVERYTICK_VENUES__HYPERLIQUID__CANDLE_INTERVALS": ""}, "venues.hyperliquid.candle_intervals"),
        ({"EVERYTICK_VENUES__HYPERLIQUID__WS_URL": "ws://venue.example/ws"}, "venues.hyperliquid.ws_url"),
        ({"EVERYTICK_VENUES__HYPERLIQUID__HTTP_URL": "http://venue.example"}, "venues.hyperliquid.http_url"),
        ({"EVERYTICK_VENUES__HYPERLIQUID__HTTP_URL": "https://venue:99999"}, "venues.hyperliquid.http_url"),
        ({"DISCORD_WEBHOOK_URL": "discord"}, "alerts.discord_webhook_url"),
        ({"RENDER_EXTERNAL_URL": "http://x.example"}, "health.external_url"),
        ({"EVERYTICK_DATA__DIR": "~/ticks"}, "data.dir"),
        ({"EVERYTICK_DATA__DIR": __file__}, "data.dir"),
        ({"EVERYTICK_DATA__DIR": f"{__file__}/ticks"}, "data.dir"),
    ],
)
def test_rules_between_settings_name_the_setting_to_mend(environ: dict[str, str], path: str) -> None:
    assert path in {fault.path for fault in faults(**environ)}


def test_the_simulators_loopback_addresses_are_accepted() -> None:
    assert not faults(
        EVERYTICK_VENUES__HYPERLIQUID__WS_URL="ws://127.0.0.1:5555/ws",
        EVERYTICK_VENUES__HYPERLIQUID__HTTP_URL="http://127.0.0.1:5555",
    )


def test_a_disabled_venue_may_have_nothing_to_record() -> None:
    off = {"EVERYTICK_VENUES__HYPERLIQUID__ENABLED": "false"}
    assert not faults(**off, EVERYTICK_VENUES__HYPERLIQUID__COINS="")


def test_lists_in_the_environment_are_split_at_commas() -> None:
    environ = {
        "EVERYTICK_VENUES__HYPERLIQUID__COINS": "BTC, PURR/USDC,@107",
        "EVERYTICK_VENUES__HYPERLIQUID__STREAMS": "books,mids",
    }
    venue = config.load(environ=environ).settings.venues.hyperliquid
    assert venue.coins == ("BTC", "PURR/USDC", "@107")
    assert venue.streams == (Kind.BOOKS, Kind.MIDS)


def test_secrets_come_from_files_without_their_line_end() -> None:
    Path("token").write_text(f"{CANARY}\n")
    by_env = config.load(environ={"EVERYTICK_SERVE__TOKEN_FILE": "token"})
    assert by_env.settings.serve.token.reveal() == CANARY
    by_file = config.load(written('[serve]\ntoken_file = "token"\n', "c.toml"), {})
    assert by_file.settings.serve.token.reveal() == CANARY
    by_plain = config.load(environ={"DISCORD_WEBHOOK_URL_FILE": written(f"https://d.example/{CANARY}", "hook")})
    assert by_plain.settings.alerts.discord_webhook_url.reveal().endswith(CANARY)


def test_a_secret_given_twice_or_as_an_empty_file_is_a_fault() -> None:
    Path("token").write_text("\n")
    assert "empty" in faults(EVERYTICK_SERVE__TOKEN_FILE="token")[0].problem
    assert "cannot read" in faults(EVERYTICK_SERVE__TOKEN_FILE="nowhere")[0].problem
    assert "both" in faults(EVERYTICK_SERVE__TOKEN_FILE="token", EVERYTICK_SERVE__TOKEN=CANARY)[0].problem
    assert "both" in faults(f'[serve]\ntoken_file = "token"\ntoken = "{CANARY}"\n')[0].problem


def test_no_fault_and_no_listing_ever_shows_a_secret() -> None:
    text = f'[serve]\ntoken = ["{CANARY}"]\ntokenn = "{CANARY}"\n[alerts]\ndiscord_webhook_url = "{CANARY}"\n'
    environ = {
        "DATABASE_URL": f"postgresql://u:{CANARY}@db",
        "EVERYTICK_SERVE__TOKN": CANARY,
        "EVERYTICK_SERVE__HOST": "0.0.0.0",
    }
    found = config.examine(written(text), environ)
    assert len(found.faults) >= 5
    everything = msgspec.json.encode([found.shown, found.faults]).decode() + repr(found) + str(found.settings)
    everything += str(config.BadSettings(found.faults)) + "".join(map(str, found.faults))
    assert CANARY not in everything


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_server_is_a_store_and_its_password_is_shown_nowhere(scheme: str) -> None:
    url = f"{scheme}://u:{CANARY}@db.example:5432/ticks?sslmode=require"
    found = config.load(environ={"DATABASE_URL": url})
    assert config.store_address(found.settings) == url
    assert config.is_server(found.settings)
    assert CANARY not in repr(found) + str(found.settings) + msgspec.json.encode(found.shown).decode()
    with pytest.raises(Refused, match="on a server and not in a file") as refusal:
        config.store_path(found.settings)
    assert CANARY not in str(refusal.value)
    assert config.load(environ={"DATABASE_URL": "postgresql:///ticks?host=/run/postgresql"}).faults == ()


def test_a_right_secret_is_listed_as_three_stars() -> None:
    environ = {"EVERYTICK_SERVE__TOKEN": CANARY, "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/x"}
    shown = {s.path: s for s in config.load(environ=environ).shown}
    assert shown["serve.token"].value == "***"
    assert shown["serve.token"].origin == "EVERYTICK_SERVE__TOKEN"
    assert shown["alerts.discord_webhook_url"].value == "***"


def test_the_store_lies_in_the_data_folder_unless_it_is_named() -> None:
    assert config.store_path(config.load(environ={"EVERYTICK_DATA__DIR": "here"}).settings) == Path("here/store.sqlite")
    for url, path in (("sqlite:///t.db", "t.db"), ("sqlite:////var/t.db", "/var/t.db")):
        assert config.store_path(config.load(environ={"DATABASE_URL": url}).settings) == Path(path)


@pytest.mark.parametrize("setting", list(walk()), ids=lambda s: s.path)
def test_every_default_passes_its_own_check(setting: Setting) -> None:
    assert not setting.path.isupper()
    if not setting.is_secret:
        assert msgspec.convert(msgspec.to_builtins(setting.default), setting.hint) == setting.default


def test_every_plain_name_leads_to_a_setting() -> None:
    assert set(PLAIN_NAMES.values()) <= {setting.path for setting in walk()}


def test_the_schema_knows_every_setting_and_no_other_key() -> None:
    schema = describe.json_schema()
    for setting in walk():
        section: object = schema
        for name in setting.path.split("."):
            assert isinstance(section, dict)
            assert section["additionalProperties"] is False
            section = section["properties"][name]
    assert CANARY not in msgspec.json.encode(schema).decode()


@given(st.sampled_from(list(walk())), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_no_text_in_the_environment_can_break_the_check(setting: Setting, text: str) -> None:
    found = config.examine(environ={setting.env: text})
    assert found.faults or {s.path: s.origin for s in found.shown}[setting.path] == setting.env
